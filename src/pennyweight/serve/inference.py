"""Open Inference Protocol v2 (KServe, Triton): metadata of models, and inference on pixels or on picture files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pennyweight.core.images import Pixels
from pennyweight.core.manifest import INPUT, LOGITS, PROBABILITIES, STRANGENESS
from pennyweight.core.strangers import unlike_line
from pennyweight.core.text import as_utf8
from pennyweight.serve.failures import RequestError
from pennyweight.serve.guard import as_json
from pennyweight.serve.models import Model
from pennyweight.serve.service import Service, note_facts
from pennyweight.serve.tensors import HEAD_LENGTH, Asked, Tensor, parse_request, write_response

__all__ = ["protocol_routes"]

LABEL, TYPICAL = "label", "typical"
EXTENSIONS = ("binary_tensor_data", "classification")
RANKED = (PROBABILITIES, LOGITS)


class _Found(NamedTuple):
    """Outputs of a network for some pictures."""

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]
    typical: NDArray[np.float64] | None


def protocol_routes(service: Service) -> list[BaseRoute]:
    """Return the routes of the protocol."""

    async def live(request: Request) -> Response:
        return _json({"live": True})

    async def ready(request: Request) -> Response:
        return _json({"ready": service.ready}, 200 if service.ready else 503)

    async def server(request: Request) -> Response:
        from importlib.metadata import version

        return _json({"name": "pennyweight", "version": version("pennyweight"), "extensions": EXTENSIONS})

    async def model_ready(request: Request) -> Response:
        model = _model(service, request)
        return _json({"name": model.name, "ready": service.ready}, 200 if service.ready else 503)

    async def metadata(request: Request) -> Response:
        return _json(_metadata(_model(service, request)))

    async def infer(request: Request) -> Response:
        model = _model(service, request)
        service.workers.require_room()
        async with service.bodies.whole(request) as body:
            work = partial(_infer, model, body, request.headers.get(HEAD_LENGTH), service.settings.max_pictures)
            async with service.in_time():
                done = await service.work(work)
        content, headers, pictures = done.answer
        note_facts(request, model=model.name, pictures=pictures, bytes=len(body))
        service.metrics.pictures(model, "answered", pictures)
        return Response(content, headers=headers)

    routes: list[BaseRoute] = [
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route("/v2", server),
    ]
    for prefix in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        routes += [
            Route(prefix, metadata),
            Route(f"{prefix}/ready", model_ready),
            Route(f"{prefix}/infer", infer, methods=["POST"]),
        ]
    return routes


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(as_json(value), status, media_type="application/json")


def _model(service: Service, request: Request) -> Model:
    """Return the model of a path. Raises RequestError (404) for another name, or a version that is not served."""
    model = service.models.get(request.path_params["model"])
    version = request.path_params.get("version", model.version)
    if version != model.version:
        raise RequestError(404, f"{model.name} has no version '{version[:100]}'; there is {model.version}")
    return model


def _outputs_of(model: Model) -> dict[str, tuple[str, list[int]]]:
    """Return the name of each output with its datatype and shape."""
    classes = len(model.labels)
    outputs = {PROBABILITIES: ("FP32", [-1, classes]), LOGITS: ("FP32", [-1, classes]), LABEL: ("BYTES", [-1])}
    return outputs if model.classifier.calibration is None else {**outputs, TYPICAL: ("FP64", [-1])}


def _metadata(model: Model) -> dict[str, Any]:
    shape = [-1, *model.classifier.preprocess.shape]
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "pennyweight_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": shape}],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": sides}
            for name, (datatype, sides) in _outputs_of(model).items()
        ],
    }


def _infer(model: Model, body: bytes, head_length: str | None, most: int) -> tuple[bytes, dict[str, str], int]:
    """Return the answer's body and headers, and the number of pictures; a worker calls it."""
    request = parse_request(body, head_length)
    pixels = _pixels(model, request.inputs, most)
    known = _outputs_of(model)
    asked = request.outputs or [Asked(name, request.binary) for name in known]
    for output in asked:
        if output.name not in known:
            raise RequestError(400, f"{model.name} has no output '{output.name}'; there are {', '.join(known)}")
        if output.classes and output.name not in RANKED:
            raise RequestError(400, f"classification belongs to {' and '.join(RANKED)}, not to {output.name}")
    found = _compute(model, pixels)
    head: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        head["id"] = request.id
    head["parameters"] = {"sha256": model.sha256}
    content, headers = write_response(head, [(_output(model, found, each), each.binary) for each in asked])
    return content, headers, len(pixels)


def _pixels(model: Model, inputs: Sequence[Tensor], most: int) -> Pixels:
    """Return the pixels of a request's input, (N, H, W, C). Raises RequestError, or ImageError for a picture file."""
    preprocess = model.classifier.preprocess
    if [tensor.name for tensor in inputs] != [INPUT]:
        names = ", ".join(f"'{tensor.name}'" for tensor in inputs) or "none"
        raise RequestError(400, f"{model.name} has the one input '{INPUT}'; the request has {names}")
    (tensor,) = inputs
    if tensor.shape[0] > most:
        raise RequestError(400, f"a request has {most} pictures at most (--max-pictures), not {tensor.shape[0]:,}")
    if not isinstance(tensor.values, np.ndarray):
        if tensor.shape not in ((len(tensor.values),), (len(tensor.values), 1)):
            raise RequestError(400, f"BYTES of '{INPUT}' have the shape [N], not {list(tensor.shape)}")
        return np.stack([preprocess(file, name=f"picture {place}") for place, file in enumerate(tensor.values)])
    if tensor.shape[1:] != preprocess.shape:
        expected = ", ".join(map(str, preprocess.shape))
        raise RequestError(400, f"UINT8 of '{INPUT}' have the shape [N, {expected}], not {list(tensor.shape)}")
    return tensor.values


def _compute(model: Model, pixels: Pixels) -> _Found:
    """Compute pictures. Raises RequestError (422) for an answer that is no number, and for a stranger to be refused."""
    classifier, calibration = model.classifier, model.classifier.calibration
    engine: Any = classifier.engine
    names = (PROBABILITIES, LOGITS) if calibration is None else (PROBABILITIES, LOGITS, STRANGENESS)
    probabilities, logits, *strangeness = engine.compute(pixels, names)
    if not (np.isfinite(probabilities).all() and np.isfinite(logits).all()):
        raise RequestError(422, "the network answers with NaN or infinity")
    if calibration is None:
        return _Found(probabilities, logits, None)
    typical = calibration.typical(strangeness[0])
    rule = classifier.stranger_rule
    strange = [place for place, value in enumerate(typical) if rule.is_unlike(value, calibration)]
    if rule.strangers == "refuse" and strange:
        raise RequestError(422, f"no answer for picture {strange[0]}: {unlike_line(float(typical[strange[0]]))}")
    return _Found(probabilities, logits, typical)


def _output(model: Model, found: _Found, asked: Asked) -> Tensor:
    labels = [as_utf8(label) for label in model.labels]
    if asked.name == LABEL:
        texts = [labels[best].encode() for best in found.probabilities.argmax(axis=1)]
        return Tensor(LABEL, "BYTES", (len(texts),), texts)
    if asked.name == TYPICAL:
        assert found.typical is not None
        return Tensor(TYPICAL, "FP64", found.typical.shape, found.typical)
    values = found.probabilities if asked.name == PROBABILITIES else found.logits
    if not asked.classes:
        return Tensor(asked.name, "FP32", values.shape, values)
    classes = min(asked.classes, len(labels))
    best = np.argsort(-values, axis=1, kind="stable")[:, :classes]
    texts = [
        f"{row[place]:f}:{place}:{labels[place]}".encode()
        for row, places in zip(values, best, strict=True)
        for place in places
    ]
    return Tensor(asked.name, "BYTES", (len(values), classes), texts)
