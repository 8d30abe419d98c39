"""The Open Inference Protocol, version 2, beside our own: the same checks, tokens and log, for clients that speak it.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from starlette.routing import Route

from include.serving.answering import Answers, Service
from include.serving.guard import Headers
from include.serving.http import Predict, Receive, Scope, encode
from include.serving.inputs import BadRequest, Rows
from include.serving.model import ServedModel
from include.serving.tensors import decode, describe, inferred, matrix, outputs

INFER_PATHS = "/v2/models/{pipeline}/infer", "/v2/models/{pipeline}/versions/{version}/infer"


class Infer(Predict):
    """``POST /v2/models/{pipeline}[/versions/{version}]/infer``."""

    def problem(self, status: int, title: str, faults: list[str]) -> tuple[bytes, bytes]:
        """Return an error as the protocol writes it."""
        return encode({"error": "; ".join([title, *faults])}), b"application/json"

    def admit(self, path: Mapping[str, str], headers: Headers) -> tuple[ServedModel, str]:
        """Return which version is asked, and who asks; raises as `Predict.admit` does, for another version, too."""
        model, subject = super().admit(path, headers)
        refuse_other(model, path.get("version"))
        return model, subject

    def read(self, model: ServedModel, body: bytes) -> tuple[Rows, Callable[[Answers], bytes]]:
        """Return the rows of tensors of features, and what writes their answers."""
        try:
            request = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            status = 422 if isinstance(error, msgspec.ValidationError) else 400
            raise BadRequest(status, f"the body is no inference request: {error}") from None
        names = outputs(model, request)
        rows = self.service.reader(model).of_values(matrix(model, request.inputs))
        return rows, lambda answers: encode(inferred(answers, request.id, names))


class Metadata(Infer):
    """``GET /v2/models/{pipeline}[/versions/{version}]``."""

    async def respond(self, scope: Scope, receive: Receive) -> bytes:
        """Return what a model is asked and answers, to those who may ask it."""
        model, _ = self.admit(scope["path_params"], scope["headers"])
        return encode(describe(model))


def add_protocol(app: FastAPI, service: Service) -> None:
    """Add the routes of the protocol that tell of models, and of health, which need no token."""
    for path in ("/v2/models/{pipeline}", "/v2/models/{pipeline}/versions/{version}"):
        app.router.routes.append(Route(path, Metadata(service), methods=["GET"]))

    @app.get("/v2")
    def server() -> dict[str, Any]:
        """Tell what this server is."""
        return {"name": "ciclo", "version": app.version, "extensions": []}

    @app.get("/v2/health/live")
    def is_live() -> dict[str, bool]:
        """Tell that this process answers."""
        return {"live": True}

    @app.get("/v2/health/ready")
    def is_ready(response: Response) -> dict[str, bool]:
        """Tell whether any model answers, and its answers can be kept."""
        is_ready = bool(service.catalog.models) and not service.spool.is_full
        response.status_code = 200 if is_ready else 503
        return {"ready": is_ready}

    @app.get("/v2/models/{pipeline}/ready")
    @app.get("/v2/models/{pipeline}/versions/{version}/ready")
    def is_model_ready(pipeline: str, response: Response, version: str | None = None) -> dict[str, Any]:
        """Tell whether a model, or a version of it, answers."""
        model = service.catalog.models.get(pipeline)
        is_ready = model is not None and version in (None, str(model.version))
        response.status_code = 200 if is_ready else 404
        return {"name": pipeline, "ready": is_ready}


def refuse_other(model: ServedModel, version: str | None) -> None:
    """Refuse a version that does not answer.

    Raises
    ------
    BadRequest
        404, which names the version that does.
    """
    if version is not None and version != str(model.version):
        raise BadRequest(404, f"{model.pipeline.pipeline} version {version} does not answer; {model.version} does")
