"""A profile's state as bytes: a JSON object and named arrays in NumPy's own format, compressed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

HEAD = "state"


def pack(state: Mapping[str, Any], arrays: Mapping[str, np.ndarray | bytes]) -> bytes:
    """Return both as bytes, the same ones for the same content."""
    named = {name: np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data for name, data in arrays.items()}
    file = io.BytesIO()
    head = np.frombuffer(json.dumps(state).encode(), np.uint8)
    np.savez_compressed(file, allow_pickle=False, **{HEAD: head}, **named)
    return file.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what `pack` was given; bytes come as arrays of uint8.

    Raises
    ------
    ValueError
        If these are no such bytes. A retry does not help.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop(HEAD).tobytes()), arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"these {len(data)} bytes hold no profile ({error}); make it anew from the rows") from error
