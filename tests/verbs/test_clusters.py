"""Classifiers sent to Spark and Ray answer as they do alone, bit for bit; the libraries run on this machine."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw

pytestmark = pytest.mark.peers
PICTURES = list(np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3), dtype=np.uint8))
SOURCE = str(Path(pw.__file__).parents[1])


@pytest.fixture(params=["run", "bundle"])
def classifier(request: pytest.FixtureRequest, trained: pw.Run, bundle: pw.Bundle) -> pw.Classifier:
    return pw.load(trained if request.param == "run" else bundle)


def tops(answers: Sequence[pw.Prediction]) -> list[str]:
    """Every label with its probability in full."""
    return [repr(answer.top) for answer in answers]


def test_spark_maps_rows(classifier: pw.Classifier, spark: Any) -> None:
    expected = [tops(classifier.predict([picture])) for picture in PICTURES]
    rows = spark.sparkContext.parallelize(PICTURES, 3)
    assert rows.map(lambda picture: [repr(each.top) for each in classifier.predict([picture])]).collect() == expected


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark_maps_frames(classifier: pw.Classifier, spark: Any) -> None:
    import pandas

    def answer(frames: Iterator[pandas.DataFrame]) -> Iterator[pandas.DataFrame]:
        for frame in frames:
            pixels = [np.frombuffer(each, np.uint8).reshape(20, 24, 3) for each in frame["pixels"]]
            yield pandas.DataFrame({"id": frame["id"], "top": [repr(each.top) for each in classifier.predict(pixels)]})

    table = spark.createDataFrame(
        [(number, bytearray(picture.tobytes())) for number, picture in enumerate(PICTURES)], "id long, pixels binary"
    )
    found = table.repartition(3).mapInPandas(answer, "id long, top string").collect()
    assert [row.top for row in sorted(found, key=lambda row: row.id)] == tops(classifier.predict(PICTURES))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join([SOURCE, *sys.path])}}
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", runtime_env=environment)
    yield ray
    ray.shutdown()


def test_ray_runs_tasks_and_actors(classifier: pw.Classifier, cluster: Any) -> None:
    expected = tops(classifier.predict(PICTURES))

    def answer(given: pw.Classifier, pictures: Any) -> list[str]:
        return [repr(each.top) for each in given.predict(list(pictures))]

    class Server:
        def __init__(self, given: pw.Classifier) -> None:
            self.given = given

        def answer(self, pictures: Any) -> list[str]:
            return [repr(each.top) for each in self.given.predict(list(pictures))]

    task, shared = cluster.remote(answer), cluster.put(classifier)
    assert cluster.get([task.remote(shared, PICTURES) for _ in range(3)]) == [expected] * 3
    server = cluster.remote(Server).remote(classifier)
    assert cluster.get(server.answer.remote(PICTURES)) == expected


def test_cloudpickle_sends_it_inside_a_function(classifier: pw.Classifier) -> None:
    """Spark, Ray, joblib and Dask send functions of a program by cloudpickle."""
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    sent = cloudpickle.dumps(lambda pictures: [repr(each.top) for each in classifier.predict(pictures)])
    assert len(sent) < 5000
    assert pickle.loads(sent)(PICTURES) == tops(classifier.predict(PICTURES))
