"""How often the shipped policy asks for a training without harm, and how soon it acts where there is harm.

Streams are SIMULATED: twenty correlated features and a target that is linear in them, all autocorrelated (AR(1), up to
0.9), with seasons, and with tails as heavy as a t distribution of three degrees of freedom. The champion is least
squares on a past one and a half times as long as the stream; everything it errs later is chance.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.signal import lfilter

from include.monitoring.blocks import block_means
from include.monitoring.decide import Rules, decide
from include.monitoring.history import Look, Probe
from include.spec.monitoring import POLICIES, Costs
from include.windows import Window

FEATURES, WINDOWS, PAST = 20, 12, 18
STREAMS, DELAYS = 1000, 200
RULES = Rules(POLICIES["default"], Costs(), least_rows=30, training_rows=100)


@dataclass(frozen=True)
class Stream:
    """What a stream is made like: rows a window, autocorrelation, heavy tails, a season's amplitude in deviations."""

    rows: int
    rho: float
    heavy: bool
    season: float


def any_stream(chance: np.random.Generator) -> Stream:
    """Return a stream at random."""
    rows = int(np.exp(chance.uniform(np.log(300), np.log(5000))))
    return Stream(rows, chance.uniform(0, 0.9), bool(chance.integers(2)), float(chance.choice([0.0, 1.0])))


def data_of(stream: Stream, windows: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return features, shape (rows, 20), and the target, shape (rows,)."""
    count = stream.rows * windows
    noise = chance.standard_t(3, (count, FEATURES + 1)) / 3**0.5 if stream.heavy else None
    noise = chance.standard_normal((count, FEATURES + 1)) if noise is None else noise
    noise = lfilter([(1 - stream.rho**2) ** 0.5], [1, -stream.rho], noise, axis=0)
    features = noise[:, :-1] * 0.7 + noise[:, :1] * 0.7  # each with each
    features[:, :5] += stream.season * np.sin(2 * np.pi * np.arange(count) / (12 * stream.rows))[:, None]
    return features, features @ chance.standard_normal(FEATURES) + noise[:, -1]


def fit(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights of least squares, the constant last."""
    design = np.column_stack([features, np.ones(len(features))])
    return np.linalg.solve(design.T @ design, design.T @ target)


def loss(weights: np.ndarray, features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return absolute errors, shape (rows,)."""
    return np.abs(target - features @ weights[:-1] - weights[-1])


def looks(features: np.ndarray, target: np.ndarray, rows: int, past: int, worse: float = 1.0) -> Iterator[Look]:
    """Yield a look for each window after the past; the errors are so many times those of an honest stream."""
    held_out = past - past // 5
    champion = fit(features[:held_out], target[:held_out])
    promised = block_means(loss(champion, features[held_out:past], target[held_out:past]))
    window = Window.parse("2024-01-01", "2024-01-02")
    for start in range(past, len(target), rows):
        end, middle = start + rows, start + rows // 2
        errors = worse * loss(champion, features[start:end], target[start:end])
        refit = fit(features[:middle], target[:middle])
        newer = worse * loss(refit, features[middle:end], target[middle:end])
        probe = Probe(block_means(newer), block_means(errors[rows // 2 :]))
        yield Look(
            window, rows=rows, usable_rows=end, champion=1, fitted_rows=past, promised=promised,
            losses=block_means(errors), probe=probe,
        )  # fmt: skip


def verdicts(seen: Iterator[Look]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what is decided after each look, and because of which clauses."""
    history: list[Look] = []
    for look in seen:
        verdict = decide([*history, look], RULES)
        cause = tuple(verdict.evidence.get("cause", ()))
        history.append(replace(look, verdict=verdict.verdict, cause=cause))
        yield verdict.verdict, cause


def measure_false_alarms() -> Iterator[dict[str, Any]]:
    """Yield the share of streams without harm in which a training was asked for; the peer is what is allowed."""
    chance = np.random.default_rng(20)
    alarmed = investigated = 0
    for _ in range(STREAMS):
        stream = any_stream(chance)
        features, target = data_of(stream, PAST + WINDOWS, chance)
        told = {verdict for verdict, _ in verdicts(looks(features, target, stream.rows, PAST * stream.rows))}
        alarmed += "retrain" in told
        investigated += "investigate" in told
    yield {"name": "false_alarms", "ours": alarmed / STREAMS, "peer": 0.01, "unit": "share", "rows": STREAMS}
    yield {
        "name": "false_investigations", "ours": investigated / STREAMS, "peer": 0.01, "unit": "share", "rows": STREAMS,
    }  # fmt: skip


def measure_harm_delay() -> Iterator[dict[str, Any]]:
    """Yield after how many daily windows an error that is a quarter larger is acted on; the median of many streams.

    Acted on is a training or a person asked for. The shares tell which of the two, and which clause asked first.
    """
    chance = np.random.default_rng(21)
    delays, acts = [], Counter[str]()
    for _ in range(DELAYS):
        stream = replace(any_stream(chance), rows=int(chance.choice([24, 48, 96])), season=0.0)
        features, target = data_of(stream, 180 + 120, chance)
        told = verdicts(looks(features, target, stream.rows, 180 * stream.rows, worse=1.25))
        acting = ((day, act, cause) for day, (act, cause) in enumerate(told, 1) if act != "hold")
        day, act, cause = next(acting, (121, "hold", ()))
        delays.append(day)
        acts[f"{act}_{'_and_'.join(cause)}" if cause else act] += 1
    yield {"name": "harm_delay", "ours": float(np.median(delays)), "peer": 36, "unit": "days", "rows": DELAYS}
    slowest = float(np.quantile(delays, 0.9))
    yield {"name": "harm_delay_p90", "ours": slowest, "peer": 36, "unit": "days", "rows": DELAYS}
    for act, count in acts.most_common():
        yield {"name": f"harm_delay_{act}", "ours": count / DELAYS, "peer": None, "unit": "share", "rows": DELAYS}
