"""Pennyweight: image classifiers that fit a budget. Weigh, pick, fit, prove and ship.

The public names stand in the stub next to this file and are loaded when first used (SPEC 1), so that
`import pennyweight` loads no torch, and a server with a bundle never does. Importing it also switches off what other
libraries report to their makers (`core.telemetry`), bounds their threads by a container's quota (`core.threads`), and
lends them folders where there is no home (`core.cache`).
"""

import typing as _typing

import lazy_loader as _lazy

from pennyweight.core.cache import lend_folders as _lend_folders
from pennyweight.core.telemetry import switch_off_telemetry as _switch_off_telemetry
from pennyweight.core.threads import bound_threads as _bound_threads

_switch_off_telemetry()
_bound_threads()
_lend_folders()

_load, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> _typing.Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pennyweight")
    from pennyweight.core.extras import naming_missing_parts

    with naming_missing_parts():
        return _load(name)
