// Prepare pictures for a bundle, in node and in browsers: read the manifest, decode, and fit a picture into the input.
// For 8-bit pictures and networks of 1 or 3 channels.

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

// Read the manifest from the bytes of a bundle. A bundle is a protobuf message; its field 14 holds keys and values.
export function manifestOf(bytes) {
  let at = 0;
  const number = () => {
    let value = 0, place = 1, byte;
    do {
      byte = bytes[at++];
      value += (byte & 127) * place;
      place *= 128;
    } while (byte > 127);
    return value;
  };
  const text = () => {
    at += 1; // the tag of the field
    const size = number();
    return new TextDecoder().decode(bytes.subarray(at, (at += size)));
  };
  while (at < bytes.length) {
    const tag = number(), size = number();
    if (tag % 8 === 0) continue; // a number, without content
    const end = at + size;
    if (tag >> 3 === 14 && text() === "pennyweight") return ofColors(JSON.parse(text()));
    at = end;
  }
  throw new Error("the file is not a bundle of Pennyweight");
}

function ofColors(manifest) {
  const { channels } = manifest.preprocess;
  if (channels !== 1 && channels !== 3) throw new Error(`the network takes ${channels} channels, and not 1 or 3`);
  return manifest;
}

// Keep 1 or 3 channels of decoded pixels, with transparent pixels on white.
function opaque(stored, bands, { width, height }, channels) {
  const pixels = new Uint8Array(width * height * channels), rgb = [0, 0, 0];
  for (let n = 0; n < width * height; n++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = stored[n * bands + (bands < 3 ? 0 : channel)];
      rgb[channel] = bands % 2 ? value : onWhite(value, stored[n * bands + bands - 1]);
    }
    if (channels === 1) pixels[n] = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
    else pixels.set(rgb, 3 * n);
  }
  return { width, height, channels, pixels };
}

// Decode upright 8-bit RGB or gray with wasm-vips; with "draft" at the smallest scale of a JPEG that is large enough.
export function decode(vips, content, { resize, channels, decoding, frame = "crop" }) {
  const jpeg = content[0] === 0xff && content[1] === 0xd8;
  let image = jpeg ? vips.Image.jpegloadBuffer(content) : vips.Image.newFromBuffer(content);
  if (image.format !== "uchar" || image.interpretation === "cmyk") throw new Error("not 8-bit RGB or gray");
  if (jpeg && decoding === "draft") {
    const turned = image.getTypeof("orientation") && image.getInt("orientation") > 4;
    const [rows, columns] = turned ? sides(resize).toReversed() : sides(resize);
    const large = (n) => [Math.floor(image.height / n) >= rows, Math.floor(image.width / n) >= columns];
    const shrink = [8, 4, 2].find((n) => (frame === "pad" ? large(n).some(Boolean) : large(n).every(Boolean))) ?? 1;
    const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
    let at = 2; // libvips drops the part of a pixel at the edge: make the sizes in the header whole
    while (![0xc0, 0xc1, 0xc2].includes(content[at + 1])) at += 2 + view.getUint16(at + 2);
    for (const place of [at + 5, at + 7]) view.setUint16(place, Math.ceil(view.getUint16(place) / shrink) * shrink);
    image = vips.Image.jpegloadBuffer(content, { shrink });
  }
  image = image.autorot();
  return opaque(image.writeToMemory(), image.bands, image, channels);
}

// Decode upright 8-bit RGB or gray with the browser's own decoder, which knows no "draft". It would make 8 bits of 16.
export async function decodeByBrowser(file, { channels }) {
  const head = new Uint8Array(await file.slice(0, 25).arrayBuffer());
  if (head[0] === 0x89 && head[24] === 16) throw new Error("not 8-bit RGB or gray");
  const image = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.fillStyle = "white";
  canvas.fillRect(0, 0, image.width, image.height);
  canvas.drawImage(image, 0, 0);
  return opaque(canvas.getImageData(0, 0, image.width, image.height).data, 4, image, channels);
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

// Fit a picture into the input: bytes of shape (1, height, width, channels).
export function fit(image, { size, resize, channels, interpolation, decoding, mean, frame = "crop" }) {
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
  const pixels = Uint8Array.from({ length: height * width * channels }, (_, n) => {
    const channel = n % channels, column = Math.floor(n / channels) % width, row = Math.floor(n / channels / width);
    const x = column + left, y = row + top;
    const inside = x >= 0 && x < long && y >= 0 && y < high;
    return inside ? image.pixels[(y * long + x) * channels + channel] : fill[channel];
  });
  return { pixels, shape: [1, height, width, channels] };
}
