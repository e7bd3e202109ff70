"""Formats of picture files: endings, readable formats, and names of the other kinds of files."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from pennyweight.core.extras import install_command

__all__ = ["ENDINGS", "allow_pixels", "heif_reader", "kind_of", "open_image", "too_many"]

ENDINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi"), ("JPEG", "MPO")),
    **dict.fromkeys((".png", ".apng"), ("PNG",)),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    ".webp": ("WEBP",),
    ".gif": ("GIF",),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
    **dict.fromkeys((".avif", ".avifs"), ("AVIF",)),
    **dict.fromkeys((".heic", ".heif", ".hif"), ("HEIF",)),
    ".npy": ("NPY",),
}
"""Ending of a picture file, in lower case -> Pillow's names of the formats that it may hold."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", *(("AVIF",) if features.check("avif") else ()))
"""Formats that Pillow reads without another package."""

HEIC = "HEIC"
AVIF = "AVIF"
REMEDIES = {
    HEIC: "{install} reads it",
    AVIF: "a newer Pillow reads it: pip install --upgrade pillow",
    "a Git LFS pointer": "git lfs pull fetches the picture",
    "a git-annex pointer": "git annex get fetches the picture",
    "an HTML page": "a server sent it in place of the picture; download it again",
    "an XML document": "a server may have sent it in place of the picture",
    "JSON": "a server may have sent it in place of the picture",
    "zeros throughout": "the copy or the download did not finish",
}
"""Kind of a file -> remedy; {install} is the command that adds the extra for HEIC."""
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"version https://(git-lfs\.github\.com|hawser\.github\.com)/spec", "a Git LFS pointer"),
    (rb"(\.\./)*(\.git)?/annex/objects/", "a git-annex pointer"),
    (rb"\0{16,}\Z", "zeros throughout"),
    (rb".{4}ftyp.{0,40}avi[fs]", AVIF),
    (rb".{4}ftyp.{0,40}(hei[cxms]|hev[cx]|mif1|msf1)", HEIC),
    (rb".{4}ftypcrx ", "a raw file of a camera (CR3)"),
    (rb".{4}(ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF.{4}AVI ", "a video"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb"FUJIFILMCCD-RAW", "a raw file of a camera (RAF)"),
    (rb"8BPS", "a Photoshop document"),
    (rb"\0\0[\x01\x02]\0", "an icon (ICO)"),
    (rb".{128}DICM", "DICOM"),
    (rb"SIMPLE  =", "FITS"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"%PDF-", "a PDF document"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive"),
    (rb"\x1f\x8b", "gzip data"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|BZh[1-9]|\xfd7zXZ\0", "an archive"),
    (rb"\0\x05\x16[\x07\0]", "metadata of macOS (AppleDouble)"),
    (rb"L\0\0\0\x01\x14\x02\0", "a Windows shortcut"),
    (rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>)?\s*(<!--.*?-->)?\s*(<!doctype svg|<svg)", "an SVG drawing"),
    (rb"(\xef\xbb\xbf)?\s*(<!--.*?-->)?\s*<(!doctype html|html|head|body|script|meta|title|center|h1|div|p>)",
     "an HTML page"),
    (rb"(\xef\xbb\xbf)?\s*<(\?xml|[a-z!])", "an XML document"),
    (rb"(\xef\xbb\xbf)?\s*(\{\s*(\}|\"[^\"]*\"\s*:)|\[\s*[\]\[{\"\d-])", "JSON"),
    (rb"\xff\xd8", "a damaged or cut-off JPEG"),
    (rb"\x89PNG", "a damaged or cut-off PNG"),
    (rb"GIF8", "a damaged or cut-off GIF"),
    (rb"RIFF.{4}WEBP", "a damaged or cut-off WebP"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "a damaged TIFF, or one of a kind that is not read"),
    (rb"BM.{4}\0{4}", "a damaged or cut-off BMP"),
)  # fmt: skip
"""Start of a file, as a regular expression -> kind of the file; the first match counts."""
LOOKED_AT = 1024


def kind_of(file: bytes) -> str | None:
    """Return the kind of a file by its first bytes, such as "an HTML page"; None if it is unknown."""
    start = file[:LOOKED_AT]
    found = next((kind for pattern, kind in _signatures() if pattern.match(start)), None)
    return found or ("text" if _is_text(start) else None)


def _formats(file: bytes) -> tuple[str, ...]:
    """Return the formats that Pillow may try for a file with this start; HEIF only if pillow-heif is installed."""
    boxed = file[4:8] == b"ftyp"  # no other file needs the search
    return (*FORMATS, "HEIF") if boxed and kind_of(file) == HEIC and heif_reader() != "none" else FORMATS


@cache
def heif_reader() -> str:
    """Register pillow-heif, the reader of HEIC, with Pillow; return its version, or "none" if it is not installed."""
    try:
        import pillow_heif
    except ImportError:
        return "none"
    pillow_heif.register_heif_opener()
    return str(pillow_heif.__version__) if "HEIF" in Image.OPEN else "none"


def open_image(file: bytes | Path) -> Image.Image:
    """Open a picture without decoding it. Raises ValueError that names the kind of a file that is not a picture."""
    start = file[:LOOKED_AT] if isinstance(file, bytes) else _start(file)
    if not start:
        raise ValueError("it is empty")
    stream = io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        return Image.open(stream, formats=_formats(start))
    except UnidentifiedImageError as error:
        kind = _unread_kind(start)
        known = f"not a picture in a known format ({', '.join(FORMATS)})"
        raise ValueError(f"it is {kind}, not a picture that is read here{_remedy(kind)}" if kind else known) from error
    except Image.DecompressionBombError as error:
        pixels = next(iter(re.findall(r"\d+", str(error))), "many")
        raise ValueError(too_many(f"its {pixels}", 2 * (Image.MAX_IMAGE_PIXELS or 0), pixels)) from error


def _unread_kind(start: bytes) -> str | None:
    """Return the kind of a file that Pillow could not open; AVIF and HEIC are damaged if their reader is installed."""
    kind = kind_of(start)
    readable = (kind == AVIF and AVIF in FORMATS) or (kind == HEIC and heif_reader() != "none")
    return f"a damaged or cut-off {kind}" if readable else kind


def allow_pixels(most: int | None) -> None:
    """Raise Pillow's limit on pixels, which holds for the whole process, to `most`; never lower it."""
    if most is not None and Image.MAX_IMAGE_PIXELS is not None and most > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = most


def too_many(size: str, most: int, needed: int | str, *, unit: str = "pixels") -> str:
    """Return the message for a picture over the limit, with the option that allows it."""
    return f"{size} {unit} are more than the {most:,} allowed; --max-pixels {needed} reads it"


def _start(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(LOOKED_AT)


@cache
def _signatures() -> tuple[tuple[re.Pattern[bytes], str], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), kind) for pattern, kind in SIGNATURES)


def _remedy(kind: str) -> str:
    if kind not in REMEDIES:
        return ""
    return f"; {REMEDIES[kind].format(install=install_command('heic') if kind == HEIC else '')}"


def _is_text(start: bytes) -> bool:
    """Return whether bytes are printable UTF-8, like a text file; the last character may be incomplete."""
    text = start.decode("utf-8", "ignore")
    printable = all(letter.isprintable() or letter.isspace() for letter in text)
    return bool(text.strip()) and printable and len(text.encode()) > len(start) - 4
