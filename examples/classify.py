"""Classify pictures with a bundle and without Pennyweight: python classify.py BUNDLE PICTURE...

For 8-bit pictures and networks of 1 or 3 channels. It needs numpy, Pillow and onnxruntime.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def prepare(file, *, size, resize, channels, interpolation, decoding, mean, frame="crop", **rest):
    """Return the network's input, (1, height, width, channels) uint8; the options are the manifest's `preprocess`."""
    (height, width), (rows, columns) = (side if isinstance(side, list) else [side, side] for side in (size, resize))
    image = Image.open(file)
    if decoding == "draft":
        across, down = image.size[:: -1 if image.getexif().get(0x0112, 1) > 4 else 1]
        enough = any if frame == "pad" else all
        scale = next((n for n in (8, 4, 2) if enough((down // n >= rows, across // n >= columns))), 1)
        image.draft(None, (image.width // scale, image.height // scale))
    if image.mode[0] in "IF":
        sys.exit(f"{file} has more than 8 bits a value")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")

    across, down = (columns, rows) if frame == "stretch" else image.size
    if (across * rows >= down * columns) == (frame == "pad"):
        new = columns, max(1, columns * down // across)
    else:
        new = max(1, rows * across // down), rows
    spare = new[0] - width, new[1] - height
    left, top = (-(-each // 2) if frame == "pad" else round(each / 2) for each in spare)
    box = (0, 0, *image.size)
    if frame != "pad" and (decoding == "draft" or new[0] > 8 * columns or new[1] > 8 * rows):
        x, y = image.width / new[0], image.height / new[1]
        box = left * x, top * y, (left + width) * x, (top + height) * y
        new, left, top = (width, height), 0, 0
    rule = Image.Resampling[interpolation.upper()]
    image = image.resize((new[0], image.height), rule, (box[0], 0, box[2], image.height))
    image = image.resize(new, rule, (0, box[1], new[0], box[3]))
    color = tuple(min(255, max(0, round(255 * value))) for value in mean)
    canvas = Image.new(image.mode, (width, height), color if channels == 3 else color[0])
    canvas.paste(image, (-left, -top))
    return np.asarray(canvas).reshape(1, height, width, channels)


def main(bundle, files):
    """Print the label and the probability of each picture."""
    session = onnxruntime.InferenceSession(bundle)
    manifest = json.loads(session.get_modelmeta().custom_metadata_map["pennyweight"])
    for file in files:
        probabilities = session.run(["probabilities"], {"images": prepare(file, **manifest["preprocess"])})[0][0]
        best = probabilities.argmax()
        print(file, manifest["labels"][best], f"{probabilities[best]:.6f}", sep="\t")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
