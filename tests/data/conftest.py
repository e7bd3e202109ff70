"""A small S3 server, which the tests of readers and of packing share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def s3_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`s3://shelf`, an empty bucket on the loopback."""
    s3fs = pytest.importorskip("s3fs", reason="S3 needs the extra scale")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    import boto3

    server.start()
    s3fs.S3FileSystem.clear_instance_cache()  # one of an earlier test would ask that test's server
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    boto3.client("s3").create_bucket(Bucket="shelf")
    yield "s3://shelf"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
