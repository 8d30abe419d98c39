"""Judge candidates by rows that none was fitted on. Pure: a training and a replay of history ask the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.promotion.decide import Check, Opponent, choose, is_better_than_champion
from include.promotion.proof import Comparison, compare
from include.promotion.rules import beats_naive, reaches_minimums
from include.promotion.slices import no_slice_worse
from include.training.evaluate import score

if TYPE_CHECKING:
    import pandas as pd

    from include.spec.model import Pipeline


@dataclass(frozen=True)
class Challenge:
    """The candidate that wants to be promoted.

    Attributes
    ----------
    reason : str
        Why it was chosen, in words.
    predicted : array, shape (n,)
        Its predictions of the held-out rows.
    against_naive : mapping of str to Comparison
        Of every candidate but the naive one.
    """

    candidate: str
    reason: str
    predicted: np.ndarray
    naive: str
    against_naive: Mapping[str, Comparison]


def challenge(
    pipeline: Pipeline,
    holdout: pd.DataFrame,
    predicted: Mapping[str, np.ndarray],
    selection_errors: Mapping[str, float],
) -> Challenge:
    """Choose the challenger by cross-validation; the held-out rows only prove it against naive."""
    actual, at = holdout["target"].to_numpy("float64"), holdout["valid_at"]
    naive = next(name for name, one in pipeline.training.candidates.items() if one.kind == "naive")
    others = {name: values for name, values in predicted.items() if name != naive}
    proofs = {name: compare(actual, one, predicted[naive], pipeline.promotion, at) for name, one in others.items()}
    chosen, reason = choose(selection_errors, naive, proofs)
    return Challenge(chosen, reason, predicted[chosen], naive, proofs)


def check_errors(
    pipeline: Pipeline,
    holdout: pd.DataFrame,
    challenger: Challenge,
    opponent: Opponent,
    slices: Mapping[str, np.ndarray],
) -> list[Check]:
    """Put a challenger to every rule that its errors on the held-out rows can answer.

    Parameters
    ----------
    holdout : DataFrame
        The held-out rows, with `valid_at` and `target`.
    slices : mapping of str to array of bool, shape (n,)
        Which of the rows each slice has.
    """
    policy, actual = pipeline.promotion, holdout["target"].to_numpy("float64")
    checks = [is_better_than_champion(opponent, policy)]
    if challenger.candidate != challenger.naive:
        proof = challenger.against_naive[challenger.candidate]
        checks.append(beats_naive(challenger.candidate, challenger.naive, proof))
    if policy.minimums.model_dump(exclude_none=True):
        metrics = score(pipeline.target, actual, challenger.predicted).to_dict()
        checks.append(reaches_minimums(metrics, policy))
    if policy.slice_max_loss_pct is not None:
        at = holdout["valid_at"].to_numpy("datetime64[us]")
        checks.append(no_slice_worse(actual, challenger.predicted, opponent.predicted, slices, policy, at))
    return checks
