"""Frames: back with their types; batches replaced, snapshots kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.errors import ContractBroken
from include.lake.frames import write_parquet
from include.lake.store import Lake

FilesBelow = Callable[[str], list[str]]


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_a_frame_comes_back_with_its_types(uri: str) -> None:
    frame = frame_of(
        valid_at=pd.to_datetime(["2025-01-01T00:00:00.000001Z", None], format="ISO8601").astype("datetime64[us, UTC]"),
        raw=pd.Series(["1,5", None], dtype=object),
        nothing=pd.Series([None, None], dtype=object),
        text=pd.Series(["a", "b"], dtype="str"),
        number=[1.5, float("nan")],
        count=pd.array([1, None], dtype="Int64"),
        flag=pd.array([True, None], dtype="boolean"),
    )
    lake = Lake(uri)
    back = lake.get_frame(lake.put_frame("batches/usdmxn/fix/one", frame.set_index(pd.Index([5, 6]))))
    pd.testing.assert_frame_equal(back, frame)
    assert back.loc[1, "raw"] is None
    empty = frame[:0]
    pd.testing.assert_frame_equal(lake.get_frame(lake.put_frame("batches/usdmxn/fix/none", empty)), empty)


def test_a_batch_is_replaced_and_a_snapshot_kept(uri: str) -> None:
    lake = Lake(uri)
    batch = lake.put_frame("batches/p/b", frame_of(a=[1]))
    assert lake.put_frame("batches/p/b", frame_of(a=[2])) == batch
    assert lake.get_frame(batch).equals(frame_of(a=[2]))
    file = io.BytesIO()
    write_parquet(iter([frame_of(a=["x", "w"]), frame_of(a=["y", "z"])]), file)
    snapshot = lake.put_snapshot("p/s", file)
    assert lake.get_frame(snapshot)["a"].tolist() == ["x", "w", "y", "z"]
    assert lake.put_snapshot("p/s", io.BytesIO(b"of another version of Parquet")) == snapshot
    assert lake.get_frame(snapshot)["a"].tolist() == ["x", "w", "y", "z"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "batches",
        "other/x",
        "batches/../x",
        "batches//x",
        "batches/a b",
        "/batches/x",
        "batches/p/snapshots/x",
        "snapshots/x",
    ],
)
def test_a_frame_needs_a_plain_name_below_batches(uri: str, name: str, files_below: FilesBelow) -> None:
    with pytest.raises(ContractBroken, match="cannot be a frame's name"):
        Lake(uri).put_frame(name, frame_of(a=[1]))
    assert files_below(uri) == []


def test_a_frame_that_is_gone_or_damaged_is_said(tmp_path: Path) -> None:
    lake = Lake(f"file://{tmp_path}")
    uri = lake.put_frame("batches/p/b", frame_of(a=[1]))
    file = tmp_path / "batches/p/b.parquet"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ContractBroken, match="is damaged: run its window again"):
        lake.get_frame(uri)
    file.unlink()
    with pytest.raises(ContractBroken, match="is not in the lake"):
        lake.get_frame(uri)
    with pytest.raises(ContractBroken, match="not the URI of a frame"):
        lake.get_frame(f"file://{tmp_path}/payloads/x")
