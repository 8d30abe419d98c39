"""How often the joint test alarms where nothing moved, and how soon it names what did; beside KS with Bonferroni.

Streams are SIMULATED: hours of correlated features, autocorrelated (AR(1)), half of them with tails as heavy as a t
distribution of three degrees of freedom; the reference is as long as twelve windows, but no less than 3,000 rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.signal import lfilter
from scipy.stats import ks_2samp

from include.monitoring.drift import measure_drift
from include.monitoring.histogram import count_rows
from include.monitoring.joint import Wander, shifts_jointly
from include.monitoring.limits import Limits
from include.monitoring.reference import Reference

LEVEL, RHOS = 0.05, (0.0, 0.3, 0.6, 0.9)
STREAMS, WINDOWS, TRIALS = 60, 4, 200
SHIFT, SLIDE, MOVED = 0.5, 0.05, 3


def stream(chance: np.random.Generator, rows: int, features: int, rho: float, heavy: bool = False) -> np.ndarray:
    """Return features of deviation one, each correlated with each by 0.5, shape (rows, features)."""
    draw = partial(chance.standard_t, 3) if heavy else chance.standard_normal
    own, common = draw(size=(rows + 200, features)), draw(size=(rows + 200, 1))
    noise = (own + common) * (1 - rho**2) ** 0.5 / (6**0.5 if heavy else 2**0.5)
    return lfilter([1], [1, -rho], noise, axis=0)[200:]


def measure_false_alarms() -> Iterator[dict[str, Any]]:
    """Yield the share of windows without drift with a p-value of at most 5 %, by autocorrelation, and the largest."""
    chance = np.random.default_rng(30)
    worst = (0.0, 0.0)
    for rho in RHOS:
        ours, peers = [], []
        for number in range(STREAMS):
            rows = int(np.exp(chance.uniform(np.log(300), np.log(5000))))
            past = max(3000, min(12 * rows, 20_000))
            data = stream(chance, past + WINDOWS * rows, 20, rho, heavy=number % 2 == 1)
            wander, grids = _learnt(data[:past])
            for start in range(past, len(data), rows):
                window = data[start : start + rows]
                result = shifts_jointly(wander, count_rows(grids, _columns(window)).subjects, Limits())
                ours.append(result.p_value is not None and result.p_value <= LEVEL)
                peers.append(min(_ks(data[:past], window)) <= LEVEL / 20)
        shares = float(np.mean(ours)), float(np.mean(peers))
        worst = max(worst[0], shares[0]), max(worst[1], shares[1])
        yield _figure(f"drift_false_alarms_rho_{rho:g}", *shares, len(ours))
    yield _figure("drift_false_alarms", *worst, len(RHOS) * STREAMS * WINDOWS)


def measure_detection() -> Iterator[dict[str, Any]]:
    """Yield how often a shift of half a deviation is named in its first window of 500 rows, at rho 0 to 0.6."""
    chance = np.random.default_rng(31)
    named: list[tuple[bool, bool]] = []
    peers: list[tuple[bool, bool]] = []
    for _ in range(TRIALS):
        data = stream(chance, 13 * 500, 10, chance.uniform(0, 0.6), heavy=bool(chance.integers(2)))
        past, window = data[:-500], data[-500:]
        window[:, MOVED] += SHIFT
        told = _named(Reference.of(_columns(past)), window)
        named.append((MOVED in told, bool(told - {MOVED})))
        alike = np.array(_ks(past, window)) > LEVEL / 10
        peers.append((not alike[MOVED], not np.delete(alike, MOVED).all()))
    for place, name in enumerate(("detection", "detection_other")):
        ours, peer = (float(np.mean([one[place] for one in side])) for side in (named, peers))
        # Of the share that is found the larger is the better.
        yield _figure(name, ours, peer, TRIALS) | ({"ratio": round(ours / peer, 2)} if not place and peer else {})


def measure_slide() -> Iterator[dict[str, Any]]:
    """Yield how often a slide of 0.05 deviations a window is named within twelve windows; and after how many."""
    chance, delays = np.random.default_rng(32), []
    for _ in range(TRIALS // 2):
        data = stream(chance, 24 * 500, 10, chance.uniform(0, 0.6))
        reference, windows = Reference.of(_columns(data[:6000])), data[6000:].reshape(12, 500, 10)
        windows[:, :, MOVED] += SLIDE * np.arange(1, 13)[:, None]
        told = (number for number, window in enumerate(windows, 1) if MOVED in _named(reference, window))
        delays.append(next(told, 13))
    within = float(np.mean(np.array(delays) <= 12))
    share = {"name": "slide", "ours": within, "peer": 0.95, "unit": "share", "rows": len(delays)}
    yield share | {"ratio": round(within / 0.95, 2)}  # the larger the better
    yield {
        "name": "slide_windows",
        "ours": float(np.median(delays)),
        "peer": 12,
        "unit": "windows",
        "rows": len(delays),
    }


def _learnt(past: np.ndarray) -> tuple[Wander, dict[str, Any]]:
    reference = Reference.of(_columns(past))
    return Wander(list(reference.subjects.values())), reference.grids


def _named(reference: Reference, window: np.ndarray) -> set[int]:
    """Return the features that the monitor would name as moved."""
    columns = _columns(window)
    measures = measure_drift(reference, columns, list(reference.subjects))
    shifts = [one for one in measures if (one.kind, one.statistic, one.status) == ("joint", "shift", "breach")]
    return {int(one.subject[1:]) for one in shifts}


def _columns(rows: np.ndarray) -> dict[str, np.ndarray]:
    columns = {f"x{number}": column for number, column in enumerate(np.ascontiguousarray(rows.T))}
    return columns | {"valid_at": np.datetime64("2026-01-01T00", "ns") + np.arange(len(rows)) * np.timedelta64(1, "h")}


def _ks(past: np.ndarray, window: np.ndarray) -> list[float]:
    return [float(ks_2samp(before, now, method="asymp").pvalue) for before, now in zip(past.T, window.T, strict=True)]


def _figure(name: str, ours: float, peer: float, rows: int) -> dict[str, Any]:
    return {"name": name, "ours": round(ours, 3), "peer": round(peer, 3), "unit": "share", "rows": rows}
