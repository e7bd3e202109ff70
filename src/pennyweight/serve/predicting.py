"""`POST /predict`: one picture or many, answered as the command `predict` answers them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pennyweight.core.prediction import Failure, Prediction
from pennyweight.runtime.classifier import NamedPicture
from pennyweight.serve.bodies import is_form
from pennyweight.serve.failures import RequestError
from pennyweight.serve.forms import Upload
from pennyweight.serve.guard import as_json
from pennyweight.serve.models import Model
from pennyweight.serve.service import Service, note_facts

__all__ = ["make_predict"]

JSON = "application/json"
TOP = 5
Answer = Prediction | Failure


def make_predict(service: Service) -> Any:
    """Return the endpoint."""

    async def predict(request: Request) -> Response:
        began = time.perf_counter()
        model = service.models.get(request.query_params.get("model"))
        top = _top(request.query_params.get("top"))
        service.workers.require_room()  # before a body is read that cannot be answered
        async with service.bodies.pictures(request) as uploads:
            answers = await _answer_all(service, model, uploads, top)
            pictures, sent = len(uploads), sum(len(upload.content) for upload in uploads)
        note_facts(request, model=model.name, pictures=pictures, bytes=sent)
        for outcome in map(_outcome, answers):
            service.metrics.pictures(model, outcome)
        rows = [_row(model, answer, ms) for answer, ms in answers]
        body = {
            "model": model.name,
            "sha256": model.sha256,
            "milliseconds": _rounded(1000 * (time.perf_counter() - began)),
            "predictions": rows,
        }
        if not is_form(request) and "error" in rows[0]:  # each picture of a form has its own error
            return Response(as_json({"error": rows[0]["error"], **body}), 422, media_type=JSON)
        return Response(as_json(body), media_type=JSON)

    return predict


async def _answer_all(
    service: Service, model: Model, uploads: Sequence[Upload], top: int
) -> list[tuple[Answer, float]]:
    """Answer pictures in order; at most one a worker is in the queue, so that a long list leaves room for others."""
    strands = min(len(uploads), service.workers.threads)
    service.workers.require_room(strands)
    answers: list[Any] = [None] * len(uploads)
    places = iter(range(len(uploads)))

    async def strand() -> None:
        for place in places:
            done = await service.work(partial(_answer, model, uploads[place], top))
            answers[place] = done.answer, 1000 * done.worked_s

    tasks = [asyncio.ensure_future(strand()) for _ in range(strands)]
    try:
        async with service.in_time():
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return answers


def _answer(model: Model, upload: Upload, top: int) -> Answer:
    (answer,) = model.classifier.stream_named([NamedPicture(*upload)], top)
    return answer


def _row(model: Model, answer: Answer, milliseconds: float) -> dict[str, Any]:
    """Return an answer as `predict --json` prints it, and whether its picture is a stranger."""
    strange = {} if answer.typical is None else {"strange": model.classifier.is_strange(answer)}
    return {**answer.to_dict(), **strange, "milliseconds": _rounded(milliseconds)}


def _outcome(answered: tuple[Answer, float]) -> str:
    answer, _ = answered
    if isinstance(answer, Prediction):
        return "answered"
    return "unreadable" if answer.typical is None else "refused"


def _top(text: str | None) -> int:
    """Return the number of labels. Raises RequestError for anything but a whole number of 1 or more."""
    if text is None:
        return TOP
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= 1):
        raise RequestError(400, f"top must be a whole number of 1 or more, not '{text[:40]}'")
    return int(text)


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 2)
