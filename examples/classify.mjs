// Classify pictures with a bundle in node: node classify.mjs BUNDLE MANIFEST PICTURE...
// MANIFEST is made by: pennyweight bundle BUNDLE --json > MANIFEST
// For 8-bit pictures and networks of 1 or 3 channels. It needs the packages onnxruntime-node and wasm-vips.

import fs from "node:fs";
import ort from "onnxruntime-node";
import Vips from "wasm-vips";

const [bundle, manifestFile, ...files] = process.argv.slice(2);
const manifest = JSON.parse(fs.readFileSync(manifestFile));
const session = await ort.InferenceSession.create(bundle);
const vips = await Vips();
const sides = (size) => (Array.isArray(size) ? size : [size, size]);
const halfEven = (value) => (value - Math.floor(value) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const onWhite = (value, alpha) => {
  const total = (value * alpha + 255 * (255 - alpha) + 128) * 128;
  return ((total >> 8) + total) >> 15;
};
const filters = {
  bilinear: [1, (x) => Math.max(0, 1 - x)],
  bicubic: [2, (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0)],
  lanczos: [3, (x) => (x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

// Decode upright 8-bit RGB or gray, transparent pixels on white; with "draft" at the smallest scale of a JPEG that is
// large enough.
function decode(file, { resize, channels, decoding, frame = "crop" }) {
  const content = fs.readFileSync(file);
  const jpeg = content[0] === 0xff && content[1] === 0xd8;
  let image = jpeg ? vips.Image.jpegloadBuffer(content) : vips.Image.newFromBuffer(content);
  if (image.format !== "uchar" || image.interpretation === "cmyk") throw new Error(`${file}: not 8-bit RGB or gray`);
  if (jpeg && decoding === "draft") {
    const turned = image.getTypeof("orientation") && image.getInt("orientation") > 4;
    const [rows, columns] = turned ? sides(resize).toReversed() : sides(resize);
    const large = (n) => [Math.floor(image.height / n) >= rows, Math.floor(image.width / n) >= columns];
    const shrink = [8, 4, 2].find((n) => (frame === "pad" ? large(n).some(Boolean) : large(n).every(Boolean))) ?? 1;
    let at = 2; // libvips drops the part of a pixel at the edge: make the sizes in the header whole
    while (![0xc0, 0xc1, 0xc2].includes(content[at + 1])) at += 2 + content.readUInt16BE(at + 2);
    for (const place of [at + 5, at + 7])
      content.writeUInt16BE(Math.ceil(content.readUInt16BE(place) / shrink) * shrink, place);
    image = vips.Image.jpegloadBuffer(content, { shrink });
  }
  image = image.autorot();
  const { width, height, bands } = image, stored = image.writeToMemory();
  const pixels = new Uint8Array(width * height * channels);
  for (let n = 0; n < width * height; n++) {
    let rgb = [0, 1, 2].map((channel) => stored[n * bands + (bands < 3 ? 0 : channel)]);
    if (bands % 2 === 0) rgb = rgb.map((value) => onWhite(value, stored[n * bands + bands - 1]));
    if (channels === 1) pixels[n] = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
    else pixels.set(rgb, 3 * n);
  }
  return { width, height, channels, pixels };
}

// Resize one axis: for each new place, sum the places that the filter covers, with weights of 22 bits.
function along({ width, height, channels, pixels }, axis, size, start, end, interpolation) {
  const length = axis ? height : width, scale = Math.fround(end - start) / size, stretch = Math.max(1, scale);
  if (size === length && start === 0 && end === length) return { width, height, channels, pixels };
  const [reach, filter] = filters[interpolation];
  const made = axis ? { width, height: size } : { width: size, height };
  const [step, across, other] = axis ? [width * channels, channels, width] : [channels, width * channels, height];
  const [newStep, newAcross] = axis ? [width * channels, channels] : [channels, size * channels];
  const result = new Uint8Array(made.width * made.height * channels);
  for (let place = 0; place < size; place++) {
    const center = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach * stretch + 0.5));
    const last = Math.min(length, Math.trunc(center + reach * stretch + 0.5));
    let weights = Array.from({ length: last - first }, (_, n) => filter(Math.abs((first + n - center + 0.5) * (1 / stretch))));
    const sum = weights.reduce((a, b) => a + b);
    weights = weights.map((w) => Math.trunc(w * (1 / sum) * 2 ** 22 + (w < 0 ? -0.5 : 0.5)));
    for (let row = 0; row < other; row++)
      for (let channel = 0; channel < channels; channel++) {
        let total = 2 ** 21, from = row * across + first * step + channel;
        for (const weight of weights) (total += weight * pixels[from]), (from += step);
        result[row * newAcross + place * newStep + channel] = Math.min(255, Math.max(0, Math.floor(total / 2 ** 22)));
      }
  }
  return { ...made, channels, pixels: result };
}

// Fit a picture into the input: (height, width, channels) bytes.
function fit(image, { size, resize, channels, interpolation, decoding, mean, frame = "crop" }) {
  const [height, width] = sides(size), [rows, columns] = sides(resize);
  const [down, across] = frame === "stretch" ? [rows, columns] : [image.height, image.width];
  let long = columns, high = Math.max(1, Math.floor((columns * down) / across));
  if (across * rows >= down * columns !== (frame === "pad"))
    (high = rows), (long = Math.max(1, Math.floor((rows * across) / down)));
  const middle = (spare) => (frame === "pad" ? -Math.floor(-spare / 2) : halfEven(spare / 2));
  let left = middle(long - width), top = middle(high - height), box = [0, 0, image.width, image.height];
  if (frame !== "pad" && (decoding === "draft" || long > 8 * columns || high > 8 * rows)) {
    const x = image.width / long, y = image.height / high;
    box = [left * x, top * y, (left + width) * x, (top + height) * y].map(Math.fround);
    [long, high, left, top] = [width, height, 0, 0];
  }
  image = along(image, 0, long, box[0], box[2], interpolation);
  image = along(image, 1, high, box[1], box[3], interpolation);
  const fill = mean.map((value) => Math.min(255, Math.max(0, halfEven(255 * value))));
  return Uint8Array.from({ length: height * width * channels }, (_, n) => {
    const channel = n % channels, column = Math.floor(n / channels) % width, row = Math.floor(n / channels / width);
    const x = column + left, y = row + top;
    const inside = x >= 0 && x < long && y >= 0 && y < high;
    return inside ? image.pixels[(y * long + x) * channels + channel] : fill[channel];
  });
}

for (const file of files) {
  const how = manifest.preprocess;
  const images = new ort.Tensor("uint8", fit(decode(file, how), how), [1, ...sides(how.size), how.channels]);
  const { data } = (await session.run({ images }, ["probabilities"])).probabilities;
  const best = data.indexOf(Math.max(...data));
  console.log([file, manifest.labels[best], data[best].toFixed(6)].join("\t"));
}
vips.shutdown();
