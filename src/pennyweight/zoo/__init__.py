"""Networks by name: `create` makes one, `names` lists them."""

from pennyweight.zoo.libraries import LIBRARIES
from pennyweight.zoo.pretrained import (
    Pretrained,
    create,
    describe,
    fields_of,
    open_checkpoint,
    open_pretrained,
    open_published,
    published_file,
)
from pennyweight.zoo.registry import (
    FAMILIES,
    Family,
    Form,
    Stem,
    build,
    form,
    names,
    settle,
    tags,
    variant,
)
from pennyweight.zoo.shapes import on_meta, sketch
from pennyweight.zoo.weights.at_hand import cached_weights, files_of
from pennyweight.zoo.weights.checkpoint import Checkpoint
from pennyweight.zoo.weights.load import put_weights
from pennyweight.zoo.weights.published import BEST
from pennyweight.zoo.weights.recognize import recognize

__all__ = [
    "BEST",
    "FAMILIES",
    "LIBRARIES",
    "Checkpoint",
    "Family",
    "Form",
    "Pretrained",
    "Stem",
    "build",
    "cached_weights",
    "create",
    "describe",
    "fields_of",
    "files_of",
    "form",
    "names",
    "on_meta",
    "open_checkpoint",
    "open_pretrained",
    "open_published",
    "published_file",
    "put_weights",
    "recognize",
    "settle",
    "sketch",
    "tags",
    "variant",
]
