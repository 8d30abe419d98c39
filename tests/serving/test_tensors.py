"""Tensors of the Open Inference Protocol, whatever a client makes of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.serving.inputs import BadRequest, RowReader
from include.serving.loading import load
from include.serving.model import ServedModel
from include.serving.tensors import NUMBERS, decode, matrix, outputs

SIZES = st.sampled_from([0, 1, 2, 3, 6, -1, 65, 1 << 31, 1 << 62, 1 << 70])
VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["features", "first_sensor", "second_sensor", "hour_of_day", "colour"]),
        "shape": st.lists(SIZES, max_size=4) | st.just([1] * 100),
        "datatype": st.sampled_from([*NUMBERS, "BYTES", "BOOL"]),
        "data": st.lists(VALUES | st.lists(VALUES, max_size=3), max_size=6),
    }
)
WANTED = st.none() | st.lists(st.fixed_dictionaries({"name": st.sampled_from(["predicted", "colour"])}), max_size=3)


@pytest.fixture(scope="module")
def model(plant_versions: Path) -> ServedModel:
    """Give a version of the plant."""
    return load(plant_versions / "plant" / "1")


@given(inputs=st.lists(TENSORS, max_size=4), wanted=WANTED)
def test_tensors_are_rows_of_features_or_refused(model: ServedModel, inputs: list[object], wanted: object) -> None:
    request = decode(msgspec.json.encode({"inputs": inputs, "outputs": wanted}))
    with suppress(BadRequest):
        outputs(model, request)
        rows = RowReader(model).of_values(matrix(model, request.inputs))
        assert rows.values.shape == (len(rows.texts), 3)
