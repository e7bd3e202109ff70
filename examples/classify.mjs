// Classify pictures with a bundle in node: node classify.mjs BUNDLE PICTURE...
// It needs prepare.mjs, and the packages onnxruntime-node and wasm-vips.

import fs from "node:fs";
import ort from "onnxruntime-node";
import Vips from "wasm-vips";
import { decode, fit, manifestOf } from "./prepare.mjs";

const [bundle, ...files] = process.argv.slice(2);
const { labels, preprocess } = manifestOf(fs.readFileSync(bundle));
const session = await ort.InferenceSession.create(bundle);
const vips = await Vips();

for (const file of files) {
  const input = fit(decode(vips, fs.readFileSync(file), preprocess), preprocess);
  const images = new ort.Tensor("uint8", input.pixels, input.shape);
  const { data } = (await session.run({ images }, ["probabilities"])).probabilities;
  const best = data.indexOf(Math.max(...data));
  console.log([file, labels[best], data[best].toFixed(6)].join("\t"));
}
vips.shutdown();
