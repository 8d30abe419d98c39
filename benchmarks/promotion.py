"""How often luck is promoted, and how surely a better challenger is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.signal import lfilter

from include.promotion.decide import Opponent, choose, decide, is_better_than_champion
from include.promotion.proof import compare
from include.spec.model import Promotion

TRIALS, ROWS, FOLDS, CANDIDATES = 500, 336, 3, 9
ALIKE = 0.8  # correlation of two models' errors: that of their absolute values is about 0.6
POLICY = Promotion(metric="mae")


def losses(models: int, rows: int, memory: float, chance: np.random.Generator) -> np.ndarray:
    """Return absolute errors of equally good models, shape (models, rows); each hour keeps some of the last."""
    common, own = _waves((1, rows), memory, chance), _waves((models, rows), memory, chance)
    return np.abs(np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own)


def _waves(shape: tuple[int, int], memory: float, chance: np.random.Generator) -> np.ndarray:
    noise = chance.standard_normal((shape[0], shape[1] + 200))
    return np.asarray(lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise, axis=1)[:, 200:])


def _verdict(errors: np.ndarray, chosen_on: slice, proven_on: slice) -> str:
    """Return what the gate says of nine candidates and the champion, who is the first."""
    champion, candidates = errors[0], errors[1:]
    selection = {str(number): float(one[chosen_on].mean()) for number, one in enumerate(candidates)}
    chosen = candidates[int(choose(selection | {"naive": np.inf}, "naive", _Proven())[0])]
    truth = np.zeros(proven_on.stop - proven_on.start)
    proof = compare(truth, chosen[proven_on], champion[proven_on], POLICY)
    return decide("", [is_better_than_champion(Opponent(proof, ""), POLICY)]).verdict


class _Proven(dict[str, Any]):
    """Every candidate is better than naive: what is measured is the comparison with the champion."""

    def __missing__(self, name: str) -> Any:
        return compare(np.zeros(ROWS), np.zeros(ROWS), np.ones(ROWS), POLICY)


def measure_false_promotions() -> Iterator[dict[str, Any]]:
    """Yield how often one of nine equally good candidates replaces an equally good champion."""
    for memory in (0.0, 0.6, 0.9):
        chance = np.random.default_rng(7)
        newest = slice(FOLDS * ROWS, (FOLDS + 1) * ROWS)
        apart, same = [], []
        for _ in range(TRIALS):
            errors = losses(CANDIDATES + 1, newest.stop, memory, chance)
            apart.append(_verdict(errors, slice(0, newest.start), newest) == "promote")
            same.append(_verdict(errors, newest, newest) == "promote")
        name = "false_promotions" + ("_rho09" if memory == 0.9 else "" if memory == 0.6 else "_rho00")
        shares = {"ours": round(float(np.mean(apart)), 4), "peer": round(float(np.mean(same)), 4)}
        yield {"name": name, **shares, "unit": "share", "rows": ROWS}


def measure_power() -> Iterator[dict[str, Any]]:
    """Yield how often a challenger that errs 10 % less is promoted."""
    chance, rows = np.random.default_rng(8), 2000
    promoted = []
    for _ in range(TRIALS):
        champion, challenger = losses(2, rows, 0.6, chance)
        proof = compare(np.zeros(rows), 0.9 * challenger, champion, POLICY)
        promoted.append(decide("", [is_better_than_champion(Opponent(proof, ""), POLICY)]).verdict == "promote")
    yield {"name": "power", "ours": float(np.mean(promoted)), "peer": None, "unit": "share", "rows": rows}
