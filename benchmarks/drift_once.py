"""``python -m benchmarks.drift_once frame|numpy|stream …``: measure drift once in a process of its own, as JSON."""

import json
import statistics
import sys
import time

import numpy as np

from benchmarks.memory import peak_mb


def frame(reference: str, window: str) -> float:
    """Return the seconds of every figure of a window that is a frame in memory; the median of three."""
    import pandas as pd

    from include.monitoring.drift import measure_drift
    from include.monitoring.reference import Reference

    with open(reference, "rb") as file:
        content = file.read()
    rows = pd.DataFrame(dict(zip(names(), np.load(window), strict=True)))
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        measures = measure_drift(Reference.from_bytes(content), rows, names())
        seconds.append(time.perf_counter() - begin)
        if any(one.status == "unknown" and one.statistic != "mean_shift_pct" for one in measures):
            raise RuntimeError("what is measured is not known")
    return statistics.median(seconds)


def plain(reference: str, window: str) -> float:
    """Return the seconds of deciles and two histograms a column, and PSI of them."""
    learnt, rows = np.load(reference), np.load(window)
    begin = time.perf_counter()
    for before, now in zip(learnt, rows, strict=True):
        edges = np.quantile(before, np.linspace(0, 1, 11))
        edges[0], edges[-1] = -np.inf, np.inf
        p, q = (np.histogram(values, edges)[0] / len(values) for values in (before, now))
        float(((p - q) * np.log(p / q)).sum())
    return time.perf_counter() - begin


def stream(reference: str, window: str) -> float:
    """Return the seconds of every figure of a window that is a Parquet file, read part by part."""
    import pyarrow.parquet as pq

    from include.monitoring.drift import measure_drift
    from include.monitoring.reference import Reference

    with open(reference, "rb") as file:
        learnt = Reference.from_bytes(file.read())
    begin = time.perf_counter()
    with pq.ParquetFile(window, pre_buffer=False) as file:
        measure_drift(learnt, file.iter_batches(batch_size=131_072), names())
    return time.perf_counter() - begin


def names() -> list[str]:
    return [f"x{number}" for number in range(20)]


if __name__ == "__main__":
    ways = {"frame": frame, "numpy": plain, "stream": stream}
    print(json.dumps({"seconds": ways[sys.argv[1]](*sys.argv[2:4]), "peak_mb": peak_mb()}))
