"""Files that would have other files opened, or that grow a thousandfold: one line, before anything is read."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.data.readers.archives import unpack
from pennyweight.data.readers.shard import Shard
from pennyweight.data.scenes.open import open_scene

CUBE = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["VRT", "WMS", "PNG"])
def test_a_tif_is_read_as_geotiff_alone(tmp_path: Path, kind: str) -> None:
    rasterio = pytest.importorskip("rasterio")
    secret = tmp_path / "secret.img"
    secret.write_bytes(bytes(range(256)))
    band = (
        f'<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename>{secret}</SourceFilename>'
        "<ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>16</LineOffset></VRTRasterBand>"
    )
    content = {
        "VRT": f'<VRTDataset rasterXSize="16" rasterYSize="16">{band}</VRTDataset>'.encode(),
        "WMS": b'<GDAL_WMS><Service name="WMS"><ServerUrl>http://localhost:1/?</ServerUrl></Service></GDAL_WMS>',
        "PNG": png(),
    }
    (tmp_path / "cube.tif").write_bytes(content[kind])
    with pytest.raises(SourceError, match=r"cannot read .*cube\.tif"):
        open_scene(tmp_path / "cube.tif")
    assert rasterio


def test_a_sparse_geotiff_is_refused_by_its_header(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "cube.tif"
    sides = {"width": 40_000, "height": 40_000, "count": 4, "dtype": "uint8", "sparse_ok": True, "tiled": True}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32611", transform=rasterio.Affine.scale(9), **sides):
        pass
    with pytest.raises(SourceError, match=r"bytes declare 6,400,000,000 unpacked ones, more than 200 times"):
        open_scene(path)


def link(file: h5py.File, other: Path) -> None:
    file["cube"] = h5py.ExternalLink(str(other), "cube")


def soft(file: h5py.File, other: Path) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(other), "/")
    file["cube"] = h5py.SoftLink("/elsewhere/cube")


def external(file: h5py.File, other: Path) -> None:
    file.create_dataset("cube", CUBE.shape, CUBE.dtype, external=[(str(other), 0, CUBE.nbytes)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(CUBE.shape, CUBE.dtype)
    layout[:] = h5py.VirtualSource(str(other), "cube", CUBE.shape)
    file.create_virtual_dataset("cube", layout)


@pytest.mark.parametrize("refer", [link, soft, external, virtual])
def test_hdf5_that_names_another_file_is_refused(tmp_path: Path, refer: Callable[[h5py.File, Path], None]) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["cube"] = CUBE
    with h5py.File(tmp_path / "cube.mat", "w") as file:
        refer(file, other)
    with pytest.raises(SourceError, match=r"cube\.mat: its '\w+' (is a link|lies in other files)"):
        open_scene(tmp_path / "cube.mat")


@pytest.mark.parametrize("kind", ["fill values", "one large chunk"])
def test_hdf5_that_grows_is_refused_by_its_header(tmp_path: Path, kind: str) -> None:
    with h5py.File(tmp_path / "cube.mat", "w") as file:
        if kind == "fill values":
            file.create_dataset("cube", (30_000, 3_000, 30), "f8", fillvalue=1.0, chunks=(100, 100, 30))
        else:
            large = {"chunks": (8_000, 8_000, 3), "maxshape": (None, None, 3), "compression": "gzip"}
            file.create_dataset("cube", (4, 5, 3), "f8", **large)
    with pytest.raises(SourceError, match="more than 200 times as many; it looks like a decompression bomb"):
        open_scene(tmp_path / "cube.mat")


def test_a_compressed_mat_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "cube.mat", {"cube": np.zeros((500, 500, 8))}, do_compression=True)
    monkeypatch.setattr("pennyweight.data.scenes.matlab.SPARE_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="looks like a decompression bomb"):
        open_scene(tmp_path / "cube.mat")


@pytest.mark.parametrize("field", ["lines = -3", "samples = 0", "bands = -5", "header offset = -8"])
def test_an_envi_header_of_negative_sizes_is_refused(tmp_path: Path, field: str) -> None:
    text = "ENVI\nsamples = 4\nlines = 3\nbands = 5\ndata type = 2\ninterleave = bip\n"
    (tmp_path / "cube.hdr").write_text(text + field + "\n", encoding="utf-8")
    (tmp_path / "cube.img").write_bytes(CUBE.tobytes())
    with pytest.raises(SourceError, match=rf"{field.split()[-1]} is below"):
        open_scene(tmp_path / "cube.hdr")


def sparse_member(name: str, size: int) -> bytes:
    """A header of GNU's old form for a file that is one hole of `size` bytes."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = f"{size:011o}\0".encode(), b"00000000000\0"
    header[483:495] = f"{size:011o}\0".encode()
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


def test_members_with_holes_are_not_read(tmp_path: Path) -> None:
    members = b"".join(sparse_member(f"000.{ending}.png", 200 << 20) for ending in "abcdefghij")
    (tmp_path / "set.tar").write_bytes(members + bytes(1024))
    with pytest.raises(SourceError, match=r"is stored with holes; pack it without the option --sparse"):
        list(Shard(str(tmp_path / "set.tar"), None).examples())
    assert len(unpack(tmp_path / "set.tar", tmp_path / "out")) == 1  # one reason, with their count
    assert "a sparse file" in unpack(tmp_path / "set.tar", tmp_path / "again")[0]


@pytest.mark.parametrize("kind", ["a long name", "a chain of names", "passed over"])
def test_what_a_packed_tar_holds_beside_files_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("pennyweight.data.readers.archive_members.SPARE_BYTES", 1 << 20)
    info = tarfile.TarInfo("name")
    info.type = b"Z" if kind == "passed over" else tarfile.GNUTYPE_LONGNAME
    info.size = 600_000 if kind == "a chain of names" else 30 << 20
    part = info.tobuf() + bytes(-(-info.size // 512) * 512)
    with gzip.open(tmp_path / "set.tar.gz", "wb") as file:
        file.write(part * (5 if kind == "a chain of names" else 1) + bytes(1024))
    with pytest.raises(SourceError, match=r"set\.tar\.gz: it (has a header|has a member with headers|unpacks to more)"):
        unpack(tmp_path / "set.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_picture_for_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as files

    picture = png() + bytes(200_000)
    rows = pyarrow.table({"image": [picture] * 600, "label": ["a", "b"] * 300})
    files.write_table(rows, tmp_path / "a.parquet")
    monkeypatch.setattr("pennyweight.core.reading.SPARE_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="looks like a decompression bomb"):
        data.open(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([True, False], ("False", "True")),
        ([b"cat", b"dog"], ("cat", "dog")),
        ([[1], [2, 3]], r"row 1 of .*a\.parquet has 2 classes in label; a picture has one"),
        ([{"a": 1}, {"a": 2}], r"a\.parquet has a record of a in label; a class is a text or a number"),
        ([1.0, 2.0, float("nan")], ("1", "2")),
        ([None, None], r"no row of .*a\.parquet can be used: .* has no class"),
    ],
    ids=str,
)
def test_labels_of_odd_types_in_parquet_are_read_or_refused(
    tmp_path: Path, labels: list[object], expected: tuple[str, ...] | str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as files

    files.write_table(pyarrow.table({"image": [png()] * 6, "label": (labels * 3)[:6]}), tmp_path / "a.parquet")
    if isinstance(expected, tuple):
        assert data.open(tmp_path / "a.parquet").labels == expected
    else:
        with pytest.raises(SourceError, match=expected):
            data.open(tmp_path / "a.parquet")
