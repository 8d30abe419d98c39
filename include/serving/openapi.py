"""What ``/docs`` and ``/openapi.json`` say of the hot routes, which FastAPI does not know of."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI

from include.serving.answering import Answers
from include.serving.completing import Raw, Several, Single
from include.serving.feedback import Items, Told
from include.serving.inputs import MOST_ROWS
from include.serving.tensors import InferRequest

PLACE = "#/components/schemas/{name}"
PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["type", "title", "status", "errors"],
}
ROWS = {
    "type": "object",
    "description": "Rows to predict: a number or null for each feature; what a row is about, where you want it kept.",
    "properties": {
        "rows": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_ROWS,
            "items": {
                "type": "object",
                "properties": {
                    "entity": {"type": ["string", "null"]},
                    "valid_at": {"type": ["string", "null"], "format": "date-time"},
                },
                "additionalProperties": {"type": ["number", "null"]},
            },
        }
    },
    "required": ["rows"],
    "additionalProperties": False,
}
REFUSALS = {
    "400": "The body is no JSON that can be read.",
    "401": "No valid token.",
    "403": "The token is good for something else.",
    "404": "No such pipeline or version answers.",
    "413": "Too many rows, or too long.",
    "422": "What is wrong, each with its place.",
    "429": "Too many requests; Retry-After says when.",
    "503": "The answer could not be kept; Retry-After says when.",
}


def describe_hot_routes(app: FastAPI) -> None:
    """Let the app's OpenAPI have the hot routes, too."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            _add(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add(schema: dict[str, Any]) -> None:
    kinds = [Answers, InferRequest, Items, Raw, Several, Single, Told]
    _, parts = msgspec.json.schema_components(kinds, ref_template=PLACE)
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(parts | {"Problem": PROBLEM, "Rows": ROWS})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    paths, forms = schema["paths"], ("Rows", "Single", "Several", "Raw")
    paths["/v1/predict/{pipeline}"] = {"post": _operation("Predict", forms, "Answers", ["pipeline"])}
    explain = "Predict, and tell what each feature contributes"
    paths["/v1/explain/{pipeline}"] = {"post": _operation(explain, forms, None, ["pipeline"])}
    paths["/v1/feedback"] = {"post": _operation("Tell what came of answers", ("Items",), "Told", [])}
    paths["/v1/models"] = {"get": _operation("Tell which versions answer", (), None, [])}
    for path, names in (("", ["pipeline"]), ("/versions/{version}", ["pipeline", "version"])):
        title = "Predict, by the Open Inference Protocol"
        infer = _operation(title, ("InferRequest",), None, names, problem=None)
        paths[f"/v2/models/{{pipeline}}{path}/infer"] = {"post": infer}
        told = _operation("Tell what a model is asked and answers", (), None, names, problem=None)
        paths[f"/v2/models/{{pipeline}}{path}"] = {"get": told}


def _operation(
    summary: str, bodies: tuple[str, ...], answer: str | None, names: list[str], problem: str | None = "Problem"
) -> dict[str, Any]:
    """Return what is told of a route: the forms of its body, its answer and its refusals."""

    def content(*schemas: str | None, kind: str = "application/json") -> dict[str, Any]:
        parts = [{"$ref": PLACE.format(name=name)} for name in schemas if name] or [{"type": "object"}]
        return {kind: {"schema": parts[0] if len(parts) == 1 else {"anyOf": parts}}}

    told = content(problem, kind="application/problem+json" if problem else "application/json")
    refusals = {status: {"description": text, "content": told} for status, text in REFUSALS.items()}
    return {
        "summary": summary,
        "security": [{"bearer": []}],
        "parameters": [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names],
        **({"requestBody": {"required": True, "content": content(*bodies)}} if bodies else {}),
        "responses": {"200": {"description": "What was asked for", "content": content(answer)}} | refusals,
    }
