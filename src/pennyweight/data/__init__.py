"""Where pictures come from: `open` turns a string into a Source, `split` gives its three splits."""

from pennyweight.data.augment import Augment
from pennyweight.data.opening import open
from pennyweight.data.pictures import Batch, Pictures
from pennyweight.data.source import SPLITS, Sample, Source, Split, Stored, Unreadable
from pennyweight.data.splits import Splits, split

__all__ = [
    "SPLITS",
    "Augment",
    "Batch",
    "Pictures",
    "Sample",
    "Source",
    "Split",
    "Splits",
    "Stored",
    "Unreadable",
    "open",
    "split",
]
