"use strict";

const TOP = 5, AT_ONCE = 2, TRIES = 20, THUMBNAIL = 480;
const byId = (id) => document.getElementById(id);
const [answers, status, token] = [byId("answers"), byId("status"), byId("token")];
let models = [], secret = "", running = 0, asked = 0, done = 0;
const waiting = [];

const percent = (value) => value > 0.999 && value < 1 ? ">99.9%" : value > 0 && value < 0.001 ? "<0.1%" : `${(100 * value).toFixed(1)}%`;
const pause = (seconds) => new Promise((wake) => setTimeout(wake, 1000 * seconds));

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/* The server */

async function ask(path, options = {}) {
  const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
  const response = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  if (response.status === 401) {
    secret = "";
    token.hidden = false;
    byId("secret").focus();
  }
  return response;
}

async function reasonOf(response) {
  try {
    return (await response.json()).error || `status ${response.status}`;
  } catch {
    return `the server answers with status ${response.status}`;
  }
}

/* The model card */

async function lookUp() {
  try {
    const response = await ask("models");
    if (!response.ok) {
      byId("summary").textContent = await reasonOf(response);
      return;
    }
    models = (await response.json()).models;
  } catch {
    byId("summary").textContent = "The server cannot be reached; is it still running?";
    return;
  }
  const choice = byId("model"), before = choice.value;
  choice.replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  if (models.some((model) => model.name === before)) choice.value = before;
  byId("pick").hidden = models.length < 2;
  showCard();
}

function chosen() {
  return models.find((model) => model.name === byId("model").value) || models[0];
}

function showCard() {
  const model = chosen();
  const accuracy = model.facts.find(([name]) => name.endsWith("accuracy") || name.endsWith("accuracy of the float network"));
  const classes = model.labels.length.toLocaleString("en");
  byId("summary").textContent = `${model.name}: ${model.network}, ${classes} classes` + (accuracy ? `, ${accuracy.join(" ")}` : "");
  const rows = [...model.facts.filter(([, text]) => text), ["SHA-256", model.sha256], ...(model.strangers ? [["strangers", model.strangers]] : [])];
  byId("card").tBodies[0].replaceChildren(...rows.map(([name, text]) => {
    const row = element("tr"), head = element("th", name);
    head.scope = "row";
    row.append(head, element("td", text));
    return row;
  }));
  byId("classes").hidden = false;
  byId("classes").querySelector("summary").textContent = `All ${classes} classes`;
  showClasses();
}

function showClasses() {
  const wanted = byId("find").value.trim().toLowerCase();
  const found = chosen().labels.filter((label) => label.toLowerCase().includes(wanted));
  byId("labels").replaceChildren(...found.map((label) => element("li", label)));
}

/* Pictures */

function add(files) {
  const pictures = [...files].filter((file) => file.size !== undefined);
  if (!pictures.length) return;
  const model = chosen();
  const rows = pictures.map((file) => makeRow(file));
  answers.prepend(...rows.map(({ item }) => item));
  byId("clear").hidden = false;
  asked += pictures.length;
  waiting.push(...rows.map((row) => ({ ...row, model })));
  tell();
  while (running < AT_ONCE && waiting.length) work();
}

function makeRow(file) {
  const item = byId("row").content.firstElementChild.cloneNode(true);
  item.querySelector("h3").textContent = item.querySelector("h3").title = file.name || "pasted picture";
  item.querySelector(".best").textContent = "…";
  return { file, item };
}

async function work() {
  running += 1;
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    await Promise.all([showPicture(next.item, next.file), answer(next.item, next.file, next.model)]);
    done += 1;
    tell();
  }
  running -= 1;
}

function tell() {
  status.textContent = asked === 0 ? "No picture yet." : done < asked
    ? `${done} of ${asked} pictures answered.`
    : `${asked} ${asked === 1 ? "picture" : "pictures"} answered.`;
}

async function showPicture(item, file) {
  const canvas = item.querySelector("canvas");
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, THUMBNAIL / Math.max(picture.width, picture.height));
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    canvas.setAttribute("aria-label", file.name || "pasted picture");
  } catch {
    canvas.hidden = true;
    item.querySelector(".shot .note").hidden = false;
  }
}

async function answer(item, file, model) {
  const began = performance.now();
  const query = new URLSearchParams({ top: TOP, ...(model ? { model: model.name } : {}) });
  try {
    let response;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const form = new FormData();
      form.append("file", file, file.name || "picture");
      response = await ask(`predict?${query}`, { method: "POST", body: form });
      if (response.status !== 503) break;
      await pause(Number(response.headers.get("Retry-After")) || 1);
    }
    if (!response.ok) {
      fail(item, await reasonOf(response));
      return;
    }
    const found = await response.json();
    const [prediction] = found.predictions;
    if (prediction.error) fail(item, prediction.error);
    else show(item, prediction, performance.now() - began);
    if (model && found.sha256 !== model.sha256) lookUp();
  } catch {
    fail(item, "The server cannot be reached; is it still running?");
  }
}

function fail(item, reason) {
  item.querySelector(".best").textContent = "No answer";
  const line = item.querySelector(".warn");
  line.textContent = reason;
  line.hidden = false;
}

function show(item, prediction, milliseconds) {
  item.querySelector(".best").textContent = prediction.label;
  const bars = item.querySelector(".bars");
  for (const [label, probability] of prediction.top) {
    const track = element("dd", undefined, "track"), fill = element("span");
    fill.style.width = `${100 * probability}%`;
    track.setAttribute("aria-hidden", "true");
    track.append(fill);
    bars.append(element("dt", label), element("dd", percent(probability)), track);
  }
  if (prediction.strange) {
    const line = item.querySelector(".warn");
    line.textContent = `Unlike anything the network was taught (${percent(prediction.typical)} typical): do not rely on this answer.`;
    line.hidden = false;
  }
  item.querySelector(".says .note").textContent =
    `${prediction.milliseconds.toFixed(1)} ms on the server, ${milliseconds.toFixed(0)} ms in all`;
}

/* The camera */

let stream = null;

async function openCamera() {
  const phone = matchMedia("(pointer: coarse)").matches;
  if (phone || !navigator.mediaDevices?.getUserMedia) {
    byId("capture").click();
    return;
  }
  byId("viewfinder").showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    byId("video").srcObject = stream;
    await byId("video").play();
    byId("shoot").disabled = false;
    byId("shoot").focus();
  } catch {
    byId("viewfinder").close();
    status.textContent = "There is no camera, or the browser may not use it.";
  }
}

function shoot() {
  const video = byId("video"), canvas = element("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => add([new File([blob], "camera.jpg", { type: "image/jpeg" })]), "image/jpeg", 0.95);
  byId("viewfinder").close();
}

/* Events */

byId("choose").addEventListener("click", () => byId("files").click());
byId("camera").addEventListener("click", openCamera);
byId("shoot").addEventListener("click", shoot);
byId("close").addEventListener("click", () => byId("viewfinder").close());
byId("viewfinder").addEventListener("close", () => {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  byId("shoot").disabled = true;
});
for (const id of ["files", "capture"]) {
  byId(id).addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
}
byId("model").addEventListener("change", showCard);
byId("find").addEventListener("input", showClasses);
byId("clear").addEventListener("click", () => {
  waiting.length = 0;
  answers.replaceChildren();
  [asked, done] = [running, 0];
  byId("clear").hidden = true;
  byId("choose").focus();
  status.textContent = "No picture yet.";
});
token.addEventListener("submit", (event) => {
  event.preventDefault();
  secret = byId("secret").value.trim();
  byId("secret").value = "";
  token.hidden = true;
  lookUp();
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget || byId("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  add(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) {
    event.preventDefault();
    add(event.clipboardData.files);
  }
});
lookUp();
