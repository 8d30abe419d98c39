"""Golden rows: what a version answers to a few rows, kept with it, and asked again before it serves or comes back.

``python -m include.registry.golden FOLDER SHA256`` loads a version's stored bytes as serving does, answers its golden
rows, and prints how they compare and the time of one as JSON. It imports what an answer needs, and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import CicloError, ContractBroken
from include.registry.mlflow_access import FILE as MODEL
from include.registry.mlflow_access import rebuild, sha256

if TYPE_CHECKING:
    import pandas as pd

    from include.registry.mlflow_registry import Version
    from include.training.forecaster import Forecaster

FILE = "golden.json"
ROWS, TIMED = 50, 15
COMMAND = (sys.executable, "-m", "include.registry.golden")
PATIENCE_SECONDS = 180  # for a process that imports and loads a model, on a machine that is busy


def keep(version: Version, model: Forecaster, rows: pd.DataFrame) -> None:
    """Keep golden rows, and a model's answers to them, with its run; idempotent."""
    from include.registry.artifacts import keep_file

    keep_file(version.run_id, FILE, json.dumps(answered(model, rows)).encode())


def answered(model: Forecaster, rows: pd.DataFrame) -> dict[str, Any]:
    """Return some of the rows, from the first to the last, and a model's answers to them: see `read`."""
    import numpy as np

    chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))][model.features_]
    values = [[None if value != value else float(value) for value in row] for row in chosen.to_numpy("float64")]
    return {"features": list(chosen), "rows": values, "predicted": model.predict(chosen).tolist()}


def read(version: Version) -> dict[str, Any] | None:
    """Return a version's `features`, `rows` of their values and what it `predicted`; None where none were kept."""
    from include.registry.artifacts import load_file

    content = load_file(version, FILE)
    return json.loads(content) if content else None


def compare(model: Forecaster, golden: dict[str, Any], tolerance: float = 0.0) -> dict[str, Any]:
    """Ask a model the golden rows again.

    Parameters
    ----------
    tolerance : float
        Relative. 0, to the last bit, for the model that answered them; another form of it, such as one that was
        compiled, may differ by what its conversion costs.

    Returns
    -------
    dict
        `rows`, how many there are; `differing`, how many are answered otherwise; `largest`, the largest difference.
    """
    import numpy as np

    predicted, expected = model.predict(_frame(golden)), np.asarray(golden["predicted"])
    is_same = np.isclose(predicted, expected, rtol=tolerance, atol=tolerance / 1000)
    largest = float(np.abs(predicted - expected).max())
    return {"rows": len(expected), "differing": int((~is_same).sum()), "largest": largest}


def fastest(model: Forecaster, golden: dict[str, Any]) -> float:
    """Return the time of a model's fastest answer to one row, in ms: others tell how busy the machine is."""
    rows, seconds = _frame(golden), []
    for number in range(TIMED):
        start = time.perf_counter()
        model.predict(rows.iloc[[number % len(rows)]])
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def _frame(golden: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(golden["rows"], columns=golden["features"], dtype="float64")


def start(version: Version, folder: str) -> subprocess.Popen[str]:
    """Start a clean process that loads a version and answers its golden rows, both put into a folder.

    Raises
    ------
    ContractBroken
        If the stored bytes are not those that were registered.
    SourceUnavailable
        If MLflow does not answer; a retry may help.
    """
    from include.registry.mlflow_registry import stored_model
    from include.settings import ROOT

    (Path(folder) / MODEL).write_bytes(stored_model(version))
    (Path(folder) / FILE).write_text(json.dumps(read(version)))
    command = [*COMMAND, folder, version.tags["sha256"]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for such a process and return what it printed.

    Returns
    -------
    dict
        What `compare` returns, and `milliseconds`; or `failure`, what kept it from answering, and `is_judged`,
        whether that says anything about the model.
    """
    try:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"failure": f"it did not answer within {PATIENCE_SECONDS} s", "is_judged": False}
    for line in reversed(output.splitlines()):
        with suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                return told
    last = next((line for line in reversed(errors.splitlines()) if line.strip()), "it said nothing")
    ended = f"its process ended with {process.returncode}: {last}"
    return {"failure": ended, "is_judged": process.returncode > 0}  # a process that was killed says nothing


def main(folder: str, expected: str) -> dict[str, Any]:
    """Load a version and ask it its golden rows."""
    golden, content = json.loads((Path(folder) / FILE).read_bytes()), (Path(folder) / MODEL).read_bytes()
    if golden is None:
        return {"failure": f"{FILE} is not among the files of its run", "is_judged": False}
    try:
        if sha256(content) != expected:
            raise ContractBroken("the stored file is not the one that was registered")
        model = rebuild(content, "the stored file")
        return compare(model, golden) | {"milliseconds": fastest(model, golden)}
    except CicloError as broken:
        return {"failure": str(broken), "is_judged": True}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
