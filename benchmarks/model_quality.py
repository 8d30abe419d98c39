"""``model_quality``: how well the target of the UCI file is estimated, beside FLAML with 60 s and skforecast.

Inputs are the hour's own columns (all but the hydrocarbons' analyser, which was switched off), their logarithms, their
values one to three hours before, and their means over the last day: nothing later than the hour, and nothing made from
the target. Ours is the loop's own: the candidate that errs least in cross-validation on the part that is fitted on,
chosen once for the random splits, on the first. Random figures are means of three splits of 80/20; in time the last
20 % are judged. Both peers are given the same rows; FLAML the same inputs as well, skforecast these and its own lags
of the target, which it predicts itself where it is not known.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks.peers import environment
from benchmarks.replay import NAME, _frame
from include.spec.load import ROOT

SEEDS, BUDGET = (0, 1, 2), 60  # of the random splits; seconds for each
PATIENCE_SECONDS = 300  # with a peer on one split, reading and writing included
FLAML, SKFORECAST = ["flaml[automl]==2.7.0"], ["skforecast==0.26.0"]
LAGS, MEANS = (1, 2, 3), (24,)  # hours


@dataclass(frozen=True)
class Cut:
    """Places of the rows to fit on and of those to judge on."""

    fit: np.ndarray
    judged: np.ndarray


def measure() -> Iterator[dict[str, Any]]:
    """Yield R² and RMSE of either kind of split, each beside FLAML's, and in time beside skforecast's."""
    rows = _rows()
    count, most = len(rows), len(rows) * 4 // 5
    shuffled = [np.random.default_rng(seed).permutation(count) for seed in SEEDS]
    cuts = [Cut(np.sort(order[:most]), np.sort(order[most:])) for order in shuffled]
    yield from _figures("random", rows, cuts, _ours(rows, cuts, "k_fold"), {"": _flaml(rows, cuts, "random")})
    late = [Cut(np.arange(most), np.arange(most, count))]
    peers = {"": _flaml(rows, late, "time"), "_skforecast": _skforecast(rows, late)}
    yield from _figures("time", rows, late, _ours(rows, late, "expanding"), peers)


def _figures(
    split: str, rows: pd.DataFrame, cuts: list[Cut], ours: list[np.ndarray], peers: dict[str, list[np.ndarray]]
) -> Iterator[dict[str, Any]]:
    own = _scores(rows, cuts, ours)
    for name, predictions in peers.items():
        theirs = _scores(rows, cuts, predictions)
        for figure, unit in (("r2", "R²"), ("rmse", "mg/m3")):
            pair: dict[str, Any] = {"ours": round(own[figure], 4), "peer": round(theirs[figure], 4)}
            better = pair["ours"] / pair["peer"] if figure == "r2" else pair["peer"] / pair["ours"]
            pair["ratio"] = round(better, 3) if pair["peer"] > 0 else None
            yield {"name": f"model_quality_{split}_{figure}{name}", **pair, "unit": unit, "rows": len(rows)}


def _scores(rows: pd.DataFrame, cuts: list[Cut], predictions: list[np.ndarray]) -> dict[str, float]:
    from include.training.evaluate import measure as judge

    target = rows["target"].to_numpy()
    each = [judge(target[cut.judged], predicted) for cut, predicted in zip(cuts, predictions, strict=True)]
    return {"r2": float(np.mean([one.r2 for one in each])), "rmse": float(np.mean([one.rmse for one in each]))}


def _rows() -> pd.DataFrame:
    """Return the hours with a known target, their inputs looking back only."""
    from include.spec.load import load_all

    frame = _frame().sort_values("valid_at", ignore_index=True)
    given = frame[load_all()[NAME].feature_names()].astype("float64")
    measured = given.drop(columns=["hour_of_day", "day_of_week"])
    positive = measured.drop(columns="temperature_deg_c").clip(lower=0.01)
    parts = [given, positive.apply(np.log).add_prefix("log_")]
    parts += [measured.shift(hours).add_suffix(f"_lag_{hours}") for hours in LAGS]
    parts += [measured.rolling(hours, min_periods=hours // 2).mean().add_suffix(f"_mean_{hours}") for hours in MEANS]
    times = frame[["valid_at", "target_known_at", "target"]]
    return pd.concat([*parts, times], axis=1)[frame["target"].notna()].reset_index(drop=True)


def _inputs(rows: pd.DataFrame) -> list[str]:
    return [name for name in map(str, rows) if name not in ("valid_at", "target_known_at", "target")]


def _ours(rows: pd.DataFrame, cuts: list[Cut], scheme: str) -> list[np.ndarray]:
    from include.spec.learning import Training
    from include.spec.load import load_all
    from include.spec.recipes import Value
    from include.training.candidates import make
    from include.training.selection import cross_validate

    written = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    written["selection"]["scheme"] = scheme
    inputs, training = _inputs(rows), Training.model_validate(written)
    recipes = tuple(Value(kind="value", column=name, name=name) for name in inputs)
    spec = load_all()[NAME].model_copy(update={"features": recipes, "training": training})
    errors = {name: cross_validate(spec, name, rows.iloc[cuts[0].fit]) for name in training.candidates}
    chosen = min(errors, key=lambda name: errors[name])
    print(f"chosen in cross-validation ({scheme}): {chosen} of {errors}", file=sys.stderr)
    predictions = []
    for cut in cuts:
        known, judged = rows.iloc[cut.fit], rows.iloc[cut.judged]
        predictions.append(make(spec, chosen).fit(known[inputs], known["target"]).predict(judged))
    return predictions


def _flaml(rows: pd.DataFrame, cuts: list[Cut], split: str) -> list[np.ndarray]:
    python = environment("flaml-2.7.0", FLAML)
    return [_peer(python, "flaml_once.py", rows, cut, split, str(BUDGET)) for cut in cuts]


def _skforecast(rows: pd.DataFrame, cuts: list[Cut]) -> list[np.ndarray]:
    python = environment("skforecast-0.26.0", SKFORECAST)
    return [_peer(python, "skforecast_once.py", rows, cut) for cut in cuts]


def _peer(python: Path, script: str, rows: pd.DataFrame, cut: Cut, *options: str) -> np.ndarray:
    """Let a peer fit on the one part, in a process of its own, and return what it predicts for the other."""
    inputs, target = rows[_inputs(rows)].to_numpy(), rows["target"].to_numpy()
    with tempfile.TemporaryDirectory(prefix="ciclo-bench-") as name:
        given, made = Path(name) / "given.npz", Path(name) / "made.npy"
        parts = {"inputs": inputs[cut.fit], "target": target[cut.fit], "judged": inputs[cut.judged]}
        np.savez(given, **parts)
        command = [str(python), str(ROOT / "benchmarks" / script), str(given), str(made), *options]
        subprocess.run(command, cwd=name, stdout=sys.stderr, check=True, timeout=PATIENCE_SECONDS)
        predicted: np.ndarray = np.load(made)
        return predicted
