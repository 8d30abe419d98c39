"""The JSON Schema of ``pipeline.yaml``, for editors, for the reference page and for hints in errors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from include.spec.faults import Path
from include.spec.model import Pipeline

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


@cache
def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a ``pipeline.yaml``; the same object each time.

    What one field says by itself is in it; what must hold between fields is checked by `load` alone.

    Examples
    --------
    >>> sorted(json_schema()["properties"]["sources"])[:2]
    ['additionalProperties', 'description']
    """
    body = Pipeline.model_json_schema(by_alias=True)
    for node in _walk(body):
        if "patternProperties" in node:
            node["additionalProperties"] = False
    return {"$schema": DIALECT, **body, "title": "Ciclo pipeline.yaml"}


def at(data: Any, path: Path) -> Schema:
    """Return the schema of one field, following references, unions and what `data` chose by its ``kind``."""
    here, value = _resolved(json_schema(), data), data
    for step in path:
        value = _child(value, step)
        here = _resolved(_step(here, step), value)
    return here


def _walk(node: Any) -> Iterator[Schema]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from _walk(child)


def _child(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (LookupError, TypeError):
        return None


def _step(here: Schema, step: str | int) -> Schema:
    if isinstance(step, int):
        fixed = here.get("prefixItems", [])
        return fixed[step] if step < len(fixed) else here.get("items", {})
    if step in here.get("properties", {}):
        return here["properties"][step]
    return next(iter(here.get("patternProperties", {}).values()), {})


def _resolved(here: Schema, value: Any) -> Schema:
    """Follow references and choose a branch of a union; the outer description wins."""
    while True:
        if "$ref" in here:
            chosen = json_schema()["$defs"][here["$ref"].rpartition("/")[2]]
        elif "discriminator" in here:
            kinds = here["discriminator"]["mapping"]
            kind = value.get("kind") if isinstance(value, dict) else None
            if not isinstance(kind, str) or kind not in kinds:
                return here
            chosen = {"$ref": kinds[kind]}
        elif "anyOf" in here:
            chosen = next(option for option in here["anyOf"] if option.get("type") != "null")
        else:
            return here
        here = {**chosen, **{k: v for k, v in here.items() if k not in ("$ref", "anyOf", "oneOf", "discriminator")}}
