"""The Open Inference Protocol v2, by its public client; requests that are not as it has them are told so."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw

SIDE = 6
INFER = "/v2/models/colors/infer"


@pytest.fixture(scope="module")
def triton(client: Any) -> Iterator[Any]:
    """The public client of Triton."""
    http = pytest.importorskip("tritonclient.http")
    found = http.InferenceServerClient(client.address.removeprefix("http://"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def test_the_public_client_reads_what_is_served(triton: Any, client: Any) -> None:
    model = client.service.models.get("colors")
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("colors")
    assert triton.is_model_ready("colors", model.version)
    assert not triton.is_model_ready("colours")
    assert triton.get_server_metadata()["name"] == "pennyweight"
    found = triton.get_model_metadata("colors")
    assert found["versions"] == [model.version]
    assert found["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}]
    assert [output["name"] for output in found["outputs"]] == ["probabilities", "logits", "label", "typical"]


@pytest.mark.parametrize("sent_binary", [True, False])
@pytest.mark.parametrize("binary", [True, False])
def test_the_public_client_infers_on_pixels(
    triton: Any, bundle_path: Path, pixels: Any, sent_binary: bool, binary: bool
) -> None:
    import tritonclient.http as http

    given = http.InferInput("images", list(pixels.shape), "UINT8")
    given.set_data_from_numpy(pixels, binary_data=sent_binary)
    names = ("probabilities", "logits", "label", "typical")
    outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in names]
    outputs.append(http.InferRequestedOutput("probabilities", binary_data=binary, class_count=2))
    found = triton.infer("colors", [given], outputs=outputs[:4], request_id="seven")
    expected = pw.load(bundle_path).predict(list(pixels))
    assert found.get_response()["id"] == "seven"
    assert [label.decode() if binary else label for label in found.as_numpy("label")] == [one.label for one in expected]
    assert found.as_numpy("probabilities").dtype == np.float32
    assert found.as_numpy("probabilities").max(axis=1).tolist() == [one.probability for one in expected]
    assert found.as_numpy("typical").tolist() == [one.typical for one in expected]
    ranked = triton.infer("colors", [given], outputs=outputs[4:]).as_numpy("probabilities")
    text = ranked[0][1].decode() if binary else ranked[0][1]
    assert text.split(":")[2] == expected[0].top[1][0]


def test_the_public_client_infers_on_picture_files(
    triton: Any, bundle_path: Path, picture_file: Callable[..., bytes]
) -> None:
    import tritonclient.http as http

    files = [picture_file((10, 200, 30), "JPEG", (40, 30)), picture_file((0, 0, 0))]
    given = http.InferInput("images", [2], "BYTES")
    given.set_data_from_numpy(np.array(files, object))
    found = triton.infer("colors", [given])
    expected = pw.load(bundle_path).predict(files)
    assert found.as_numpy("probabilities").max(axis=1).tolist() == [one.probability for one in expected]
    assert found.as_numpy("typical").tolist() == [one.typical for one in expected]


def test_files_in_json_are_base64(client: Any, picture_file: Callable[..., bytes]) -> None:
    text = base64.b64encode(picture_file((0, 0, 200))).decode()
    body = {
        "inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": [text]}],
        "outputs": [{"name": "label"}],
    }
    answer = client("POST", INFER, json.dumps(body))
    assert (answer.status, answer.json["outputs"][0]["data"]) == (200, ["blue"])


def one_input(**changes: Any) -> dict[str, Any]:
    given = {"name": "images", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": [0] * 108, **changes}
    return {"inputs": [{name: value for name, value in given.items() if value is not None}]}


WRONG: list[tuple[Any, str]] = [
    ([], "expected a JSON object"),
    ({}, "inputs must be a list of objects"),
    ({"inputs": []}, "has the one input 'images'; the request has none"),
    ({"inputs": [3]}, "inputs must be a list of objects"),
    (one_input(name="pixels"), "the request has 'pixels'"),
    (one_input(name=7), "a name and a datatype"),
    (one_input(datatype="FP32"), "it is not FP32"),
    (one_input(shape=[1, 3, SIDE, SIDE]), "[N, 6, 6, 3], not [1, 3, 6, 6]"),
    (one_input(shape=[-1, SIDE, SIDE, 3]), "whole numbers of 1 or more"),
    (one_input(shape=[1e3]), "whole numbers of 1 or more"),
    (one_input(shape="1"), "whole numbers of 1 or more"),
    (one_input(shape=[2, SIDE, SIDE, 3]), "has 216 values, not 108"),
    (one_input(shape=[65, SIDE, SIDE, 3], data=[0] * 108 * 65), "64 pictures at most (--max-pictures), not 65"),
    (one_input(data=[256] * 108), "whole numbers from 0 to 255"),
    (one_input(data=[0.5] * 108), "whole numbers from 0 to 255"),
    (one_input(data=["a"] * 108), "whole numbers from 0 to 255"),
    (one_input(data=[10**30] * 108), "whole numbers from 0 to 255"),
    (one_input(data=[[1, 2], [3]]), "nested lists of equal lengths"),
    (one_input(data=None), "neither data, which is a list, nor binary_data_size"),
    (one_input(data={"a": 1}), "neither data"),
    (one_input(parameters={"binary_data_size": 108}), "beyond the 0 bytes"),
    (one_input(parameters=[]), "must be an object"),
    (one_input(datatype="BYTES", shape=[1], data=["?"]), "picture files in base64"),
    (one_input(datatype="BYTES", shape=[1], data=[3]), "picture files in base64"),
    ({**one_input(), "id": 3}, "id must be a text"),
    ({**one_input(), "outputs": [{"name": "scores"}]}, "no output 'scores'; there are probabilities, logits"),
    ({**one_input(), "outputs": [{}]}, "an output has a name"),
    ({**one_input(), "outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "classification belongs to"),
]


@pytest.mark.parametrize(("body", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_request_is_told_in_one_line(client: Any, body: Any, said: str) -> None:
    answer = client("POST", INFER, json.dumps(body), content_type="application/json")
    assert answer.status == 400
    assert said in answer.json["error"]


def test_wrong_json_and_wrong_binary_data_are_told(client: Any) -> None:
    head = json.dumps(one_input(data=None, parameters={"binary_data_size": 108})).encode()
    text = json.dumps(one_input(data=None, datatype="BYTES", shape=[1], parameters={"binary_data_size": 8})).encode()
    length = "Inference-Header-Content-Length"
    for body, lengths, status, said in (
        (b"[" * 100_000, {}, 400, "nested too deeply"),
        (b"\xff\xfe{", {}, 400, "cannot read the request"),
        (head + bytes(108), {length: str(len(head))}, 200, ""),
        (head + bytes(107), {length: str(len(head))}, 400, "beyond the 107 bytes"),
        (head + bytes(109), {length: str(len(head))}, 400, "109 bytes of binary data follow the JSON"),
        (head, {length: "9999"}, 400, "Inference-Header-Content-Length is 9999"),
        (head, {length: "-1"}, 400, "Inference-Header-Content-Length is -1"),
        (text + struct.pack("<I", 5) + bytes(4), {length: str(len(text))}, 400, "5 bytes, of which 4 were sent"),
        (text + struct.pack("<I", 4) + b"junk", {length: str(len(text))}, 422, "cannot read picture 0"),
    ):
        answer = client("POST", INFER, body, **{name.replace("-", "_"): value for name, value in lengths.items()})
        assert answer.status == status, answer.body
        assert said in answer.json.get("error", "")


def test_unknown_models_and_versions_are_named(client: Any) -> None:
    version = client.service.models.get("colors").version
    missing = client("GET", "/v2/models/colours")
    assert (missing.status, "did you mean 'colors'?" in missing.json["error"]) == (404, True)
    other = client("GET", "/v2/models/colors/versions/1/ready")
    assert (other.status, f"no version '1'; there is {version}" in other.json["error"]) == (404, True)
    assert client("GET", f"/v2/models/colors/versions/{version}/ready").json == {"name": "colors", "ready": True}


def test_models_tell_their_card_and_metrics_count_the_answers(
    client: Any, limited: Any, picture_file: Callable[..., bytes]
) -> None:
    (model,) = client("GET", "/models").json["models"]
    assert dict(model["facts"])["test accuracy"].startswith("90.0%")
    assert model["labels"] == ["red", "green", "blue"]
    assert limited("GET", "/models").status == 401
    counted = 'pennyweight_pictures_total{model="colors",outcome="answered"}'

    def count() -> float:
        lines = client("GET", "/metrics").body.decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(counted)), 0)

    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name for family in text_string_to_metric_families(client("GET", "/metrics").body.decode())}
    assert {"pennyweight_requests", "pennyweight_picture_seconds", "process_resident_memory_bytes"} <= families
    before = count()
    client.form("/predict", {"a": picture_file((9, 9, 9)), "b": picture_file((0, 9, 9)), "c": b"?"})
    assert count() == before + 2


def test_the_openapi_document_has_every_path(client: Any) -> None:
    document = client("GET", "/openapi.json").json
    routes = {route.path for route in client.service.routes}
    page = {path for path in routes if path in ("/", "/openapi.json", "/favicon.ico") or path.startswith("/assets/")}
    assert set(document["paths"]) == routes - page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:It looks like `register_random`")  # of trio, which the browser's driver imports
def test_schemathesis_finds_no_answer_outside_of_the_document(client: Any, picture_file: Any, tmp_path: Path) -> None:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    files = st.sampled_from([picture_file((200, 40, 30), form, (31, 17)) for form in ("PNG", "JPEG", "WEBP")])
    schemathesis.openapi.media_type("image/*", files)
    schemathesis.openapi.media_type("application/octet-stream", files)
    schema = schemathesis.openapi.from_url(f"{client.address}/openapi.json")
    statuses: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def check(case: Any) -> None:
            response = case.call(base_url=client.address)
            statuses.setdefault(case.path, set()).add(response.status_code)
            # a schema cannot say that bytes are a picture, or that a shape fits the data
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

        given(case=operation.as_strategy())(check)()
    assert 200 in statuses["/predict"]
    assert max(max(found) for found in statuses.values()) < 500
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{client.address}/openapi.json", "--no-color"]
    command += ["--exclude-checks", "positive_data_acceptance", "--max-examples", "60", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
