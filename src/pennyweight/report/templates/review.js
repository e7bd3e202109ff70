"use strict";
const cards = [...document.querySelectorAll(".cards > li")];
const earlier = [...document.querySelectorAll("#earlier > li")];
const key = "pennyweight review " + document.body.dataset.fingerprint;
const file = document.body.dataset.source.replace(/[^\p{L}\p{N}._]+/gu, "-").replace(/^-|-$/g, "") + "-corrections.csv";

const radios = card => [...card.querySelectorAll("input")];
const chosen = card => card.querySelector("input:checked");

function decision(card) {
  const input = chosen(card);
  if (input.value === "keep") return card.dataset.label;
  if (input.value === "class") return input.dataset.class;
  if (input.value === "listed") return card.querySelector("select").value;
  return "";
}

function rows() {
  const decided = cards.filter(card => chosen(card).value !== "undecided");
  const here = new Set(decided.map(card => card.dataset.digest + card.dataset.picture));
  const kept = earlier.filter(row => !here.has(row.dataset.digest + row.dataset.picture))
    .map(row => [row.dataset.picture, row.dataset.correct, row.dataset.leave, row.dataset.digest]);
  return kept.concat(decided.map(card => [
    card.dataset.picture, decision(card), chosen(card).value === "leave" ? "yes" : "", card.dataset.digest,
  ]));
}

function table() {
  const plain = text => /^[=+\-@\t\r]/.test(text) && isNaN(text) ? "'" + text : text; // a spreadsheet computes it
  const quoted = text => /[",;\t|\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  const cell = text => quoted(plain(text));
  return [["picture", "correct_label", "leave_out", "digest"], ...rows()]
    .map(row => row.map(cell).join(",") + "\n").join("");
}

function show() {
  let decided = 0, changed = 0, left = 0;
  for (const card of cards) {
    const value = chosen(card).value;
    card.dataset.state = value;
    decided += value !== "undecided";
    left += value === "leave";
    changed += ["class", "listed"].includes(value);
  }
  document.getElementById("counts").textContent =
    (decided ? `${changed} changed, ${left} left out, ${decided - changed - left} right` : "Nothing decided") +
    `; ${cards.length - decided} to go` + (earlier.length ? `; ${earlier.length} from before` : "");
  for (const id of ["save", "copy"]) document.getElementById(id).disabled = !rows().length;
  document.getElementById("clear").disabled = !decided;
}

function remember() {
  const state = {};
  for (const card of cards) {
    const at = radios(card).indexOf(chosen(card));
    if (at) state[card.dataset.digest + card.dataset.picture] = [at, card.querySelector("select")?.value];
  }
  try { localStorage.setItem(key, JSON.stringify(state)); } catch { /* a browser that keeps nothing */ }
  show();
}

function restore() {
  let state = {};
  try { state = JSON.parse(localStorage.getItem(key)) || {}; } catch { /* nothing is kept */ }
  for (const card of cards) {
    const [at, other] = state[card.dataset.digest + card.dataset.picture] || [0];
    if (radios(card)[at]) radios(card)[at].checked = true;
    if (other) card.querySelector("select").value = other;
  }
}

document.addEventListener("change", event => {
  if (event.target.matches("select")) event.target.closest("label").querySelector("input").checked = true;
  remember();
});

document.addEventListener("keydown", event => {
  const card = event.target.closest?.(".cards > li");
  if (!card || event.target.matches("select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const input = /^[0-9]$/.test(event.key) && radios(card)[Number(event.key)];
  if (!input) return;
  event.preventDefault();
  input.checked = true;
  remember();
  const next = cards[cards.indexOf(card) + 1];
  (input.value === "listed" ? card.querySelector("select") : next ? chosen(next) : input).focus();
  if (next && input.value !== "listed") next.scrollIntoView({ block: "nearest" });
});

document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff" + table()], { type: "text/csv" }));
  link.download = file;
  link.click();
});

document.getElementById("copy").addEventListener("click", async event => {
  const button = event.target;
  const area = document.createElement("textarea");
  area.value = table();
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  button.textContent = copied ? "Copied" : "Copying failed";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

document.getElementById("clear").addEventListener("click", () => {
  if (!confirm("Take back every choice on this page?")) return;
  for (const card of cards) radios(card)[0].checked = true;
  remember();
});

document.getElementById("file").textContent = file;
document.querySelector(".save").hidden = false;
restore();
show();
