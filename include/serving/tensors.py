"""The Open Inference Protocol's tensors: from those of a request to rows of features, from answers to tensors. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from include.serving.answering import Answers
from include.serving.inputs import MOST_FAULTS, BadRequest
from include.serving.model import ServedModel

MATRIX = "features"  # the input that has every feature as a column
NUMBERS = ("FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")


class Tensor(msgspec.Struct):
    """An input: numbers in the order of its shape, flat or nested once; null where nobody knows a value."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float | list[float | None] | None]
    parameters: dict[str, Any] | None = None


class Wanted(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    """The body of a request."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] | None = None


decode = msgspec.json.Decoder(InferRequest).decode


def describe(model: ServedModel) -> dict[str, Any]:
    """Return a version's metadata."""
    return {
        "name": model.pipeline.pipeline,
        "versions": [str(model.version)],
        "platform": "ciclo",
        "inputs": [
            {
                "name": MATRIX,
                "datatype": "FP64",
                "shape": [-1, len(model.features)],
                "parameters": {"names": list(model.features)},
            }
        ],
        "outputs": [{"name": name, "datatype": "FP64", "shape": [-1]} for name in output_names(model)],
    }


def matrix(model: ServedModel, inputs: list[Tensor]) -> np.ndarray:
    """Return the rows of features, shape (n, f): of the one input ``features``, or of an input a feature.

    Raises
    ------
    BadRequest
        422, naming each input that is unknown, missing, or of another shape than it says.
    """
    given = {tensor.name: _numbers(tensor) for tensor in inputs}
    count = len(model.features)
    if len(given) < len(inputs):
        raise BadRequest(422, "an input is there twice")
    if list(given) == [MATRIX]:
        values = given[MATRIX]
        if values.ndim != 2 or values.shape[1] != count:
            raise BadRequest(422, f"{MATRIX}: expected the shape [n, {count}], got {list(values.shape)}")
        return values
    faults = [f"{name}: there is no such input" for name in given if name not in model.features]
    faults += [f"{name}: is missing" for name in model.features if name not in given]
    if faults:
        raise BadRequest(422, "the inputs are not the model's features", faults[:MOST_FAULTS])
    columns = [given[name].reshape(-1) for name in model.features]
    if len({len(column) for column in columns}) > 1:
        raise BadRequest(422, "the inputs have different numbers of rows")
    return np.column_stack(columns)


def _numbers(tensor: Tensor) -> np.ndarray:
    if tensor.datatype not in NUMBERS:
        raise BadRequest(422, f"{tensor.name}: {tensor.datatype} is no type of numbers; send FP64")
    try:
        values = np.array(tensor.data, dtype="float64")
    except (ValueError, TypeError):
        raise BadRequest(422, f"{tensor.name}: its lists of numbers have different lengths") from None
    try:
        if min(tensor.shape, default=0) < 0:  # to numpy it means the rest
            raise ValueError
        return values.reshape(tensor.shape)
    except (ValueError, OverflowError):
        told = f"its shape {tensor.shape!s:.60} is not that of its {values.size} numbers"
        raise BadRequest(422, f"{tensor.name}: {told}") from None


def output_names(model: ServedModel) -> list[str]:
    """Return what a version answers: a probability has no interval."""
    return ["predicted"] if model.half_width != model.half_width else ["predicted", "lower_bound", "upper_bound"]


def outputs(model: ServedModel, request: InferRequest) -> list[str]:
    """Return the outputs that are asked for, all of them where none is named.

    Raises
    ------
    BadRequest
        422 for an output that there is not, 400 for one that is asked for as classes.
    """
    there = output_names(model)
    if any("classification" in (wanted.parameters or {}) for wanted in request.outputs or ()):
        raise BadRequest(400, "classification (class_count): answers are numbers, not classes; leave it out")
    names = [wanted.name for wanted in request.outputs or ()] or there
    if unknown := [name for name in names if name not in there]:
        raise BadRequest(422, f"{', '.join(unknown)}: there is no such output; there are {', '.join(there)}")
    return names


def inferred(answers: Answers, request_id: str | None, names: list[str]) -> dict[str, Any]:
    """Return answers as the protocol writes them."""
    each = answers.predictions
    warnings = sorted({text for answer in each for text in answer.warnings})
    return {
        "model_name": answers.pipeline,
        "model_version": str(answers.model_version),
        **({} if request_id is None else {"id": request_id}),
        "parameters": {
            "request_id": answers.request_id,
            "is_simulated": answers.is_simulated,
            **({"warnings": "; ".join(warnings)} if warnings else {}),
        },
        "outputs": [
            {"name": name, "datatype": "FP64", "shape": [len(each)], "data": [getattr(one, name) for one in each]}
            for name in names
        ],
    }
