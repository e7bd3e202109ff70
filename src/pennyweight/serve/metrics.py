"""Metrics of a server in the form of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pennyweight.serve.models import Change, Model
from pennyweight.serve.workers import Done

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histograms."""


class Metrics:
    """Counters, gauges and histograms of one server.

    Args:
        unfinished: Function that returns the number of pictures that wait or are worked on.
    """

    def __init__(self, unfinished: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("pennyweight_requests", "Requests.", ("path", "method", "status"), registry=registry)
        self._seconds = Histogram(
            "pennyweight_request_seconds", "Seconds from the head of a request to the end of its answer.", ("path",),
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._pictures = Counter(
            "pennyweight_pictures", "Pictures by outcome.", ("model", "outcome"), registry=registry
        )
        self._stages = Histogram(
            "pennyweight_picture_seconds", "Seconds of a picture in the queue and in a worker.", ("stage",),
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        waiting = Gauge("pennyweight_pictures_unfinished", "Pictures that wait or are worked on.", registry=registry)
        waiting.set_function(unfinished)
        self._models = Info("pennyweight_bundle", "Bundle that is served.", ("model",), registry=registry)
        self._reloads = Counter(
            "pennyweight_bundle_reloads", "Changed bundle files by outcome.", ("model", "outcome"), registry=registry
        )
        self._broken = Gauge(
            "pennyweight_bundle_broken", "1 if the present file of a model cannot be opened, and the earlier one is "
            "served.", ("model",), registry=registry,
        )  # fmt: skip

    def request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, method, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def pictures(self, model: Model, outcome: str, count: int = 1) -> None:
        """Count pictures with one outcome: "answered", "refused" or "unreadable"."""
        self._pictures.labels(model.name, outcome).inc(count)

    def work(self, done: Done[Any]) -> None:
        """Measure a finished job."""
        self._stages.labels("queue").observe(done.waited_s)
        self._stages.labels("work").observe(done.worked_s)

    def serving(self, models: Iterable[Model]) -> None:
        """Name the bundles that are served."""
        for model in models:
            self._describe(model)
            self._broken.labels(model.name).set(0)
            for outcome in ("loaded", "failed"):
                self._reloads.labels(model.name, outcome)

    def change(self, change: Change) -> None:
        """Count a changed file."""
        name = change.place.name
        self._reloads.labels(name, "failed" if change.model is None else "loaded").inc()
        self._broken.labels(name).set(change.model is None)
        if change.model is not None:
            self._describe(change.model)

    def exposition(self) -> bytes:
        """Return the metrics as text."""
        return generate_latest(self.registry)

    def _describe(self, model: Model) -> None:
        self._models.labels(model.name).info({"sha256": model.sha256, "loaded": model.loaded})
