"""A classifier travels as its file: other processes open that again, once, and answer as it does alone."""

import copy
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pennyweight.core import travel
from pennyweight.core.errors import BundleError
from pennyweight.runtime import Bundle, Classifier

PICTURES = [np.full((9, 8, 3), level, np.uint8) for level in (0, 90, 200)]


def answer(classifier: Classifier) -> list[Any]:
    return [each.top for each in classifier.predict(PICTURES)]


@pytest.fixture
def classifier(bundle_path: Path, tmp_path: Path) -> Classifier:
    return Bundle(Path(shutil.copy(bundle_path, tmp_path / "colours.onnx"))).classifier


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Tests open files of one content at different paths."""
    travel._kept.forget()
    yield
    travel._kept.forget()


def test_a_copy_and_a_pickle_answer_alike(classifier: Classifier) -> None:
    packed = pickle.dumps(classifier)
    assert len(packed) < 2000
    for other in (pickle.loads(packed), copy.copy(classifier), copy.deepcopy(classifier)):
        assert answer(other) == answer(classifier)
        assert other == classifier  # in this process the file is open already


def test_a_bundle_travels_too(bundle_path: Path) -> None:
    bundle = Bundle(bundle_path)
    other = pickle.loads(pickle.dumps(bundle))
    assert (other.path, other.manifest) == (bundle.path, bundle.manifest)
    assert answer(other.classifier) == answer(bundle.classifier)


def test_another_folder_of_work_opens_the_same_file(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packed, expected = pickle.dumps(Bundle(Path("colours.onnx")).classifier), answer(classifier)
    travel._kept.forget()
    monkeypatch.chdir("/")
    assert answer(pickle.loads(packed)) == expected


@pytest.mark.parametrize("change", ["other bytes", "other bytes of that size and time", "gone"])
def test_a_file_that_changed_is_refused(classifier: Classifier, tmp_path: Path, change: str) -> None:
    file, packed = tmp_path / "colours.onnx", pickle.dumps(classifier)
    times = file.stat()
    travel._kept.forget()
    if change == "gone":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        (tmp_path / "new").write_bytes(bytes(content))
        (tmp_path / "new").replace(file)
        if change.endswith("time"):
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    line = "no file .*colours.onnx here; a classifier travels as its file" if change == "gone" else "has changed since"
    with pytest.raises(BundleError, match=line):
        pickle.loads(packed)
    with pytest.raises(BundleError, match="has changed since the classifier was loaded from it; load it again"):
        pickle.dumps(classifier)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_answers_with_a_session_of_its_own(classifier: Classifier) -> None:
    expected, many = answer(classifier), answer(Bundle(classifier.engine._path).classifier)  # type: ignore[attr-defined]
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        same = answer(classifier) == expected
        os.write(writes, b"1" if same else b"0")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reads, 1) == b"1"
    assert answer(classifier) == expected == many
    os.close(reads)
    os.close(writes)
