"""OpenAPI document of the server."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pennyweight.serve.models import Models
from pennyweight.serve.settings import ServeSettings

__all__ = ["openapi"]

JSON, BINARY = "application/json", "application/octet-stream"
Schema = dict[str, Any]


def _object(required: str = "", **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(of: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": of, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 1}
TRUTH: Schema = {"type": "boolean"}
SHAPE = _list({"type": "integer"})
SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}

PREDICTION = _object(
    "source label probability top typical milliseconds",
    source=TEXT,
    label=TEXT,
    probability=NUMBER,
    top=_list({"type": "array", "prefixItems": [TEXT, NUMBER], "minItems": 2, "maxItems": 2}),
    typical={**SHARE, "description": "Share of held-out pictures that are at least as unlike training."},
    strange={**TRUTH, "description": "True for a picture that is unlike anything the network was taught."},
    milliseconds={**NUMBER, "description": "Time of decoding and computing."},
)
FAILED = _object("source error milliseconds", source=TEXT, error=TEXT, typical=SHARE, milliseconds=NUMBER)
PARAMETERS = {"type": "object"}
TENSOR = _object("name datatype shape", name=TEXT, datatype=TEXT, shape=SHAPE, data=_list({}), parameters=PARAMETERS)
SCHEMAS: dict[str, Schema] = {
    "Error": _object("error", error=TEXT),
    "Prediction": PREDICTION,
    "Failure": FAILED,
    "Predictions": _object(
        "model sha256 milliseconds predictions",
        model=TEXT,
        sha256=TEXT,
        milliseconds=NUMBER,
        predictions=_list({"oneOf": [_ref("Prediction"), _ref("Failure")]}),
        error={**TEXT, "description": "Reason that a body without a form has no answer."},
    ),
    "Models": _object(
        "models",
        models=_list(
            _object(
                "name version sha256 loaded facts labels",
                name=TEXT,
                version=TEXT,
                sha256=TEXT,
                loaded=TEXT,
                network=TEXT,
                input=_object("height width channels", height=COUNT, width=COUNT, channels=COUNT),
                strangers={"type": ["string", "null"]},
                facts=_list(_list(TEXT, minItems=2, maxItems=2)),
                labels=_list(TEXT),
            )
        ),
    ),
    "Server": _object("name version extensions", name=TEXT, version=TEXT, extensions=_list(TEXT)),
    "ModelMetadata": _object(
        "name versions platform inputs outputs",
        name=TEXT,
        versions=_list(TEXT),
        platform=TEXT,
        inputs=_list(_object("name datatype shape", name=TEXT, datatype=TEXT, shape=SHAPE)),
        outputs=_list(_object("name datatype shape", name=TEXT, datatype=TEXT, shape=SHAPE)),
    ),
    "InferRequest": _object(
        "inputs",
        id=TEXT,
        parameters=_object(binary_data_output=TRUTH),
        inputs=_list(
            _object(
                "name datatype shape",
                name={"const": "images"},
                datatype={"enum": ["UINT8", "BYTES"]},
                shape=_list(COUNT, minItems=1, maxItems=4),
                data=_list({}),
                parameters=_object(binary_data_size={"type": "integer", "minimum": 0}),
            ),
            minItems=1,
            maxItems=1,
        ),
        outputs=_list(
            _object(
                "name",
                name={"enum": ["probabilities", "logits", "label", "typical"]},
                parameters=_object(binary_data=TRUTH, classification={"type": "integer", "minimum": 0}),
            )
        ),
    ),
    "InferResponse": _object(
        "model_name model_version outputs",
        model_name=TEXT,
        model_version=TEXT,
        id=TEXT,
        parameters=PARAMETERS,
        outputs=_list(TENSOR),
    ),
}
REASONS = {
    400: "The request cannot be understood.",
    401: "The bearer token is missing or wrong.",
    404: "There is no such model or version.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of a kind that is not read.",
    422: "The picture cannot be read, or has no answer; of a form, each picture has its own error instead.",
    503: "The server is busy or stops; Retry-After says when to come again.",
}
OF_BODIES = (400, 408, 413, 415, 422, 503)


def _answer(description: str, schema: Schema | None, kind: str = JSON) -> Schema:
    return {"description": description, "content": {kind: {"schema": schema} if schema else {}}}


def _operation(summary: str, good: dict[str, Schema], *statuses: int, **more: Any) -> Schema:
    failures = {str(status): _answer(REASONS[status], _ref("Error")) for status in statuses}
    busy = failures.get("503")
    if busy:
        busy["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return {"summary": summary, "responses": {**good, **failures}, **more}


def _parameter(name: str, place: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}


def _predict(names: list[str]) -> Schema:
    form = _object("file", file=_list({"type": "string", "format": "binary"}, minItems=1))
    picture = {"schema": {"type": "string", "format": "binary"}}
    return _operation(
        "Classify one picture or many",
        {"200": _answer("An answer for each picture.", _ref("Predictions"))},
        *(401, 404, *OF_BODIES),
        parameters=[
            _parameter("model", "query", {"enum": names}, "Name of the model; needed if several are served."),
            _parameter("top", "query", {**COUNT, "maximum": 999_999_999}, "Labels for each picture; 5 by default."),
        ],
        requestBody={
            "required": True,
            "content": {"image/*": picture, BINARY: picture, "multipart/form-data": {"schema": form}},
        },
    )


def _models_paths(names: list[str], versions: list[str]) -> dict[str, Schema]:
    infer_body = {"content": {JSON: {"schema": _ref("InferRequest")}}, "required": True}
    answer = {
        "description": "Outputs; binary ones follow the JSON, whose length Inference-Header-Content-Length gives.",
        "content": {JSON: {"schema": _ref("InferResponse")}, BINARY: {}},
    }
    model = _parameter("model", "path", {"enum": names}, "Name of the model.")
    pinned = _parameter("version", "path", {"enum": versions}, "First 12 digits of the bundle's SHA-256.")
    paths: dict[str, Schema] = {}
    for prefix, parameters in (
        ("/v2/models/{model}", [model]),
        ("/v2/models/{model}/versions/{version}", [model, pinned]),
    ):
        described = {"200": _answer("Inputs and outputs.", _ref("ModelMetadata"))}
        ready = {"200": _answer("It is ready.", _object("name ready", name=TEXT, ready=TRUTH))}
        paths[prefix] = {"parameters": parameters, "get": _operation("Describe a model", described, 401, 404)}
        paths[f"{prefix}/ready"] = {
            "parameters": parameters,
            "get": _operation("Tell if a model is ready", ready, 401, 404, 503),
        }
        paths[f"{prefix}/infer"] = {
            "parameters": parameters,
            "post": _operation(
                "Compute the outputs of pictures", {"200": answer}, 401, 404, *OF_BODIES, requestBody=infer_body
            ),
        }
    return paths


def openapi(settings: ServeSettings, models: Models) -> dict[str, Any]:
    """Return the document, in the form of OpenAPI 3.1, with the names of the models that are served."""
    names, versions = [model.name for model in models], sorted({model.version for model in models})
    state = {"type": "object"}
    paths = {
        "/predict": {"post": _predict(names)},
        "/models": {"get": _operation("List the models", {"200": _answer("Models.", _ref("Models"))}, 401)},
        "/metrics": {"get": _operation("Read the metrics", {"200": _answer("Metrics.", TEXT, "text/plain")}, 401)},
        "/v2/health/live": {"get": _operation("Tell if the server runs", {"200": _answer("It runs.", state)})},
        "/v2/health/ready": {
            "get": _operation("Tell if the server takes requests", {"200": _answer("It does.", state)}, 503)
        },
        "/v2": {"get": _operation("Describe the server", {"200": _answer("Server.", _ref("Server"))}, 401)},
        **_models_paths(names, versions),
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Pennyweight", "version": version("pennyweight"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }
    if settings.token is not None:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document
