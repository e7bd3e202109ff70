"""Write eight digits of the test split as PNG files: python examples/digit_files.py FOLDER.

Each file name begins with the label, so that a prediction can be compared with it.
"""

import sys
from pathlib import Path

from PIL import Image

from pennyweight import data

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(f"usage: python {sys.argv[0]} FOLDER")
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
source = data.open("digits")
for sample in data.split(source).test[::40]:
    file = folder / f"{source.labels[sample.label]}-{sample.name.replace('/', '-')}.png"
    Image.fromarray(sample.picture).save(file)
