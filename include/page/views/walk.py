"""What a prediction says, in words and figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {
    "batch": "made by a run, of a row of the warehouse",
    "served": "the answer to a request",
    "shadow": "made beside the champion; nobody was answered with it",
}


def sentence(made: Mapping[str, Any]) -> str:
    """Return what a prediction is, in a sentence.

    Examples
    --------
    >>> sentence({"kind": "shadow", "pipeline": "tide", "model_version": 3})
    'Version 3 of tide: made beside the champion; nobody was answered with it.'
    """
    return f"Version {made['model_version']} of {made['pipeline']}: {KINDS[made['kind']]}."


def answer(made: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what was predicted, and about what, by what each is; what it does not have is left out."""
    bounds = (made["lower_bound"], made["upper_bound"])
    told = {
        "predicted": made["predicted"],
        "interval": None if None in bounds else f"{bounds[0]:.6g} to {bounds[1]:.6g}",
        "speaks of": made["target_at"],
        "made from the row of": made["valid_at"],
        "entity": made["entity"] or None,
        "predicted at": made["predicted_at"],
        "a fair test": "yes" if made["is_honest"] else "no: the version had seen the row",
        "request": made["request_id"],
        "row of the request": made["row_number"],
        "asked by": made["asked_by"],
        "latency, ms": made["latency_ms"],
    }
    return [(name, value) for name, value in told.items() if value is not None]


def is_hit(made: Mapping[str, Any], came: Mapping[str, Any] | None) -> bool | None:
    """Return whether what came lies in the interval; None without a truth or an interval."""
    bounds = (made["lower_bound"], made["upper_bound"])
    if came is None or came["actual"] is None or None in bounds:
        return None
    return bool(bounds[0] <= came["actual"] <= bounds[1])
