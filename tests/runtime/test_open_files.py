"""Open files and buffers serve as bytes do, alone and in lists; what is no picture is refused with what mends it."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pennyweight.core.errors import ImageError, InputError
from pennyweight.runtime import Bundle, Classifier


@pytest.fixture(scope="module")
def classifier(bundle_path: Path) -> Classifier:
    return Bundle(bundle_path).classifier


@pytest.fixture(scope="module")
def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (9, 8), (10, 20, 250)).save(content, "PNG")
    return content.getvalue()


class Upload:
    """An upload as web frameworks have it: its own `read` is asynchronous, and `.file` holds the content."""

    def __init__(self, content: bytes) -> None:
        self.file = tempfile.SpooledTemporaryFile(max_size=4)  # noqa: SIM115 - on disk beyond these bytes
        self.file.write(content)
        self.file.seek(0)

    async def read(self) -> bytes:
        return b""


def in_zip(content: bytes) -> Any:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("sea.png", content)
    return zipfile.ZipFile(packed).open("sea.png")


def after_a_header(content: bytes) -> io.BytesIO:
    file = io.BytesIO(b"header" + content)
    file.seek(6)
    return file


OPEN: dict[str, Callable[[bytes], Any]] = {
    "BytesIO": io.BytesIO,
    "from its position": after_a_header,
    "member of a zip": in_zip,
    "an upload's file": lambda content: Upload(content).file,
    "bytearray": bytearray,
    "memoryview": memoryview,
}


@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:ResourceWarning")
@pytest.mark.parametrize("kind", OPEN)
def test_an_open_file_serves_as_its_bytes_do(kind: str, classifier: Classifier, picture: bytes) -> None:
    with ExitStack() as opened:

        def make() -> Any:
            made = OPEN[kind](picture)
            return opened.enter_context(made) if hasattr(made, "__enter__") and kind != "memoryview" else made

        expected = classifier.predict(picture)[0].top
        assert [each.top for each in classifier.predict(make())] == [expected]
        assert [each.top for each in classifier.predict([picture, make(), make()])] == [expected] * 3
        assert (classifier.preprocess(make()) == classifier.preprocess(picture)).all()


def test_a_file_of_open_has_its_path_as_name(classifier: Classifier, picture: bytes, tmp_path: Path) -> None:
    (tmp_path / "sea.png").write_bytes(picture)
    with (tmp_path / "sea.png").open("rb") as file:
        assert [(each.source, each.label) for each in classifier.predict(file)] == [(str(tmp_path / "sea.png"), "blue")]


def test_an_array_of_several_pictures_is_several(classifier: Classifier) -> None:
    pictures = np.zeros((3, 9, 8, 3), np.uint8)
    pictures[1, ..., 0] = 255
    assert [each.label for each in classifier.predict(pictures)][1] == "red"
    assert len(classifier.predict(pictures)) == 3


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "text": (lambda: io.StringIO("x"), r"picture 0 is open as text, .* open\(…, 'rb'\)"),
    "an upload": (lambda: Upload(b"x"), r"asynchronous Upload; pass its \.file"),
    "a tensor": (
        lambda: torch.zeros(3, 8, 9),
        r"\.mul\(255\)\.round\(\)\.byte\(\)\.permute\(1, 2, 0\)\.cpu\(\)\.numpy",
    ),
    "tensors": (lambda: torch.zeros(2, 3, 8, 9, dtype=torch.uint8), r"images\.permute\(0, 2, 3, 1\)\.cpu\(\)\.numpy"),
    "a tensor in a list": (lambda: [torch.zeros(8, 9, 3, dtype=torch.uint8)], r": x\.cpu\(\)\.numpy\(\)$"),
    "nothing in a list": (lambda: [None], r"picture 0 is NoneType; pictures are paths"),
    "a mapping": (lambda: {"a.png": 1}, r"pictures are paths, .* not dict"),
}


@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:ResourceWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_refused_with_what_mends_it(kind: str, classifier: Classifier) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(InputError, match=message):
        classifier.predict(make())  # type: ignore[arg-type]


def test_the_line_against_a_tensor_works(classifier: Classifier) -> None:
    x = torch.rand(3, 8, 9)
    with pytest.raises(InputError) as refused:
        classifier.predict([x])  # type: ignore[list-item]
    array = eval(str(refused.value).rpartition(": ")[2])
    assert array.shape == (8, 9, 3)
    assert abs(array / 255 - x.permute(1, 2, 0).numpy()).max() < 0.003
    assert classifier.predict([array])


def test_a_file_that_fails_is_one_failure(classifier: Classifier, picture: bytes) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the disk is gone")

    answers = list(classifier.stream([picture, Broken(), io.BytesIO(b"")]))
    assert [getattr(answer, "error", "") for answer in answers][1:] == [
        "cannot read picture 1: the disk is gone",
        "cannot read picture 2: it is empty",
    ]
    with pytest.raises(ImageError, match="the disk is gone"):
        classifier.predict(Broken())


def test_addresses_are_paths_or_are_refused_in_a_short_line(
    classifier: Classifier, picture: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "of mine.png"
    file.write_bytes(picture)
    assert classifier.predict(file.as_uri())[0].top == classifier.predict(picture)[0].top
    with pytest.raises(ImageError, match=r"^s3://a/b\.png is an address; download the file, or pass its bytes: urllib"):
        classifier.predict("s3://a/b.png")
    with pytest.raises(ImageError, match=r"is a data address of 9,022 letters; pass the bytes: base64") as refused:
        classifier.predict("data:image/png;base64," + "A" * 9000)
    assert len(str(refused.value)) < 200
