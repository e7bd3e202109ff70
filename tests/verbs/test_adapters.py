"""Spark and Ray Data answer as `predict` does, from the bytes of a bundle that they send; Spark runs on two workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight.core.errors import BundleError, InputError

pytestmark = pytest.mark.peers
COUNT = 24
TASKS = 2


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, one of which is damaged and one has a name with a space and an accent."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = draw.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "07.png").write_bytes(b"no picture")
    (folder / "11.png").rename(folder / "é 11.png")
    return folder


@pytest.fixture(scope="module")
def expected(pictures: Path, bundle: pw.Bundle) -> dict[str, Any]:
    """The label of each picture by its name, or None."""
    found = list(pw.predict(bundle, pictures, top=2))
    return {Path(each.source).name: None if isinstance(each, pw.Failure) else each for each in found}


def require_equal(rows: list[Any], expected: dict[str, Any]) -> None:
    """Every picture once, with the answer of `predict`."""
    names = sorted(Path(row["path"].removeprefix("file:")).name for row in rows)
    assert names == sorted(expected)
    for row in rows:
        answer = expected[Path(row["path"].removeprefix("file:")).name]
        if answer is None:
            assert row["label"] is None
            assert "07.png" in row["error"]
            continue
        assert (row["error"], row["label"]) == (None, answer.label)
        assert list(row["labels"]) == [label for label, _ in answer.top]
        assert list(row["probabilities"]) == pytest.approx([share for _, share in answer.top], abs=1e-5)


def read(spark: Any, folder: Path) -> Any:
    return spark.read.format("binaryFile").load(str(folder)).repartition(TASKS, "path")


new_pandas = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")


@new_pandas
def test_spark_answers_as_predict_does(spark: Any, pictures: Path, bundle: pw.Bundle, expected: dict[str, Any]) -> None:
    found = pw.spark.predict(read(spark, pictures), bundle, top=2)
    assert found.columns == ["path", "label", "probability", "labels", "probabilities", "typical", "error"]
    rows = found.collect()
    for row in rows:
        assert row["probability"] == (None if row["label"] is None else row["probabilities"][0])
    require_equal([{**row.asDict(), "path": unquote(row["path"])} for row in rows], expected)
    again = pw.spark.predict(read(spark, pictures), str(bundle.path), top=2)
    assert again.filter("error is not null").count() == 1


@new_pandas
def test_a_worker_of_spark_that_is_killed_loses_and_doubles_nothing(
    spark: Any, pictures: Path, bundle: pw.Bundle, expected: dict[str, Any]
) -> None:
    """Kill −9 in the middle of a partition, on its first attempt."""
    classify = pw.spark.mapper(bundle, spark, top=2)

    def dying(batches: Any) -> Any:
        from pyspark import TaskContext

        task = TaskContext.get()
        for answers in classify(batches):
            yield answers
            if task.partitionId() == 0 and task.attemptNumber() == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    rows = read(spark, pictures).select("path", "content").mapInArrow(dying, pw.spark.SCHEMA).collect()
    require_equal([{**row.asDict(), "path": unquote(row["path"])} for row in rows], expected)


@new_pandas
def test_spark_refuses_what_it_cannot_answer_before_it_starts(
    spark: Any, pictures: Path, bundle: pw.Bundle, tmp_path: Path
) -> None:
    table = read(spark, pictures)
    with pytest.raises(InputError, match=r"the columns path, length, and no content; read pictures by"):
        pw.spark.predict(table.select("path", "length"), bundle)
    with pytest.raises(InputError, match="top must be at least 1, not 0"):
        pw.spark.predict(table, bundle, top=0)
    with pytest.raises(BundleError, match="no bundle at"):
        pw.spark.predict(table, tmp_path / "none.onnx")
    (tmp_path / "cut.onnx").write_bytes(bundle.path.read_bytes()[:-40])
    with pytest.raises(BundleError):
        pw.spark.predict(table, tmp_path / "cut.onnx")
    renamed = table.selectExpr("path as name", "cast(null as binary) as bytes").limit(2)
    rows = pw.spark.predict(renamed, bundle, path="name", content="bytes").collect()
    assert [row["error"].partition(": ")[2] for row in rows] == [
        "it has no content, and the bytes of a picture file are needed"
    ] * 2


@pytest.mark.filterwarnings("ignore")  # of Ray, about its own settings
def test_ray_data_answers_as_predict_does(pictures: Path, bundle: pw.Bundle, expected: dict[str, Any]) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    pytest.importorskip("ray.data", reason="ray.data cannot be imported")
    source = str(Path(pw.__file__).parents[1])
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join([source, *sys.path])}}
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", runtime_env=environment)
    try:
        table = ray.data.read_binary_files(str(pictures), include_paths=True)
        found = table.map_batches(
            pw.ray.Predictor, fn_constructor_args=pw.ray.Predictor.shipped(bundle, top=2), batch_size=4, concurrency=1
        )
        require_equal(found.take_all(), expected)
    finally:
        ray.shutdown()


def test_a_program_without_spark_is_told_the_command_that_adds_it(bundle: pw.Bundle) -> None:
    if "ray" in sys.modules or pytest.importorskip("importlib.util").find_spec("ray") is not None:
        pytest.skip("ray is installed")
    with pytest.raises(pw.PennyweightError, match=r"needs ray, .*\[ray\]"):
        pw.ray.Predictor.shipped(bundle)
