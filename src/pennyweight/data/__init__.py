"""Data: sources of pictures, their splits, augmentation and batches. `open` turns a string into a Source.

The names stand in the stub next to this file and are loaded when first used (SPEC 1): predicting with a bundle reads no
table, scene or stream.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
