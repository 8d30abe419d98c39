"""Frames in the lake: batches, which come and go, and snapshots, which stay as they are."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.errors import ContractBroken
from include.lake.files import Files

# Below the root of the lake, wherever that lay.
FRAME = re.compile(r"(?:.*/)?((?:batches|snapshots)(?:/[A-Za-z0-9_=\-][A-Za-z0-9_=.\-]*)+\.parquet)")

GROUP = 131_072  # rows
COPY_BYTES = 1_048_576


def put_frame(files: Files, name: str, frame: pd.DataFrame) -> str:
    """Write a frame, without its index, as Parquet and return its URI.

    Its name is ``batches/…``: it is replaced when written again, and swept by `Lake.clean`.

    Raises
    ------
    ContractBroken
        The name is none. A retry brings the same.
    SourceUnavailable
        The store does not take it. A retry may help.
    """
    name = f"{name}.parquet"
    match = FRAME.fullmatch(name)
    if match is None or match[1] != name or not name.startswith("batches/"):
        raise ContractBroken(f"{name!r} cannot be a frame's name: begin with batches/, then letters, digits and _=.-/")
    with files.writing(name) as file:
        write_parquet(_groups(frame), file)
    return files.uri(name)


def put_snapshot(files: Files, name: str, file: BinaryIO) -> str:
    """Keep a file of Parquet as a snapshot that is named by the hash of its rows, and return its URI.

    One that is there already has the same rows and stays.

    Raises
    ------
    SourceUnavailable
        The store does not take it. A retry may help.
    """
    name = f"snapshots/{name}.parquet"
    if not files.exists(name):
        file.seek(0)
        with files.writing(name) as target:
            shutil.copyfileobj(file, target, COPY_BYTES)
    return files.uri(name)


def get_frame(files: Files, uri: str) -> pd.DataFrame:
    """Return a frame as it was put, columns of text as object with None included.

    Raises
    ------
    ContractBroken
        It is not there, or damaged. A retry brings the same.
    SourceUnavailable
        The store does not answer. A retry may help.
    """
    name = frame_name(uri)
    [content] = files.read([name])
    try:
        return _from_parquet(content)
    except (pa.ArrowException, OSError):
        raise ContractBroken(f"{files.uri(name)} is damaged: run its window again or restore it") from None


def frame_name(uri: str) -> str:
    """Return the name of a frame below the lake, of its URI."""
    match = FRAME.fullmatch(uri)
    if match is None:
        raise ContractBroken(f"{uri} is not the URI of a frame: it lies below batches/ or snapshots/")
    return match[1]


def write_parquet(frames: Iterator[pd.DataFrame], file: BinaryIO) -> None:
    """Write frames of the same columns, at least one, as row groups of one file, each when it comes."""
    first = next(frames)
    schema = pa.Schema.from_pandas(first, preserve_index=False)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for frame in chain([first], frames):
            writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))


def read_parquet(file: BinaryIO, columns: list[str]) -> Iterator[pd.DataFrame]:
    """Yield some columns of a file of Parquet, some ten thousand rows at a time."""
    for batch in pq.ParquetFile(file).iter_batches(columns=columns):
        yield batch.to_pandas()


def _groups(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Cut a frame, so that no second copy of the whole is made."""
    for first in range(0, max(len(frame), 1), GROUP):
        yield frame.iloc[first : first + GROUP]


def _from_parquet(content: bytes) -> pd.DataFrame:
    """Read a frame back; pandas alone would turn object columns of text into its own text type."""
    table = pq.read_table(io.BytesIO(content))
    frame = table.to_pandas()
    described = json.loads((table.schema.metadata or {}).get(b"pandas", b'{"columns": []}'))["columns"]
    for column in described:
        if column["numpy_type"] == "object" and column["pandas_type"] in ("unicode", "empty"):
            values = frame[column["name"]]
            frame[column["name"]] = values.astype(object).mask(values.isna(), None)
    return frame
