"""Each training waits for its ranks as long as it was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pennyweight as pw
from pennyweight.core.errors import PennyweightError
from pennyweight.verbs.fitting.fit_seeds import fit_seeds

CALLS: dict[str, tuple[str, Callable[..., Any]]] = {
    "pictures": ("pennyweight.verbs.fitting.open", lambda **options: pw.fit("digits", **options)),
    "a scene": ("pennyweight.verbs.scenes.fit", lambda **options: pw.scene.fit("scene:synthetic", **options)),
    "seeds": ("pennyweight.verbs.fitting.fit_seeds", lambda **options: fit_seeds("digits", "auto", seeds=2, **options)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_wait_reaches_the_ranks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ranks(wait: float) -> None:
        raise PennyweightError(f"waited {wait} minutes")

    module, call = CALLS[name]
    monkeypatch.setattr(f"{module}.Ranks", ranks)
    with pytest.raises(PennyweightError, match=r"waited 0\.25 minutes"):
        call(wait=0.25)
