"""The rule of the gate that looks into slices: a better mean may hide a group that is served worse. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from include.promotion.decide import Check
from include.promotion.proof import Comparison, compare

if TYPE_CHECKING:
    from include.spec.model import Promotion

RULE = "no slice worse"
NAMED = 5  # slices that a reason lists, at most


def compare_slices(
    actual: np.ndarray,
    challenger: np.ndarray,
    champion: np.ndarray,
    slices: Mapping[str, np.ndarray],
    policy: Promotion,
    at: np.ndarray | None = None,
) -> dict[str, Comparison]:
    """Compare two models in each slice, at a confidence that is shared among all; see `no_slice_worse`."""
    moments = np.arange(len(actual)) if at is None else at
    shared = policy.model_copy(update={"confidence": 1 - (1 - policy.confidence) / max(len(slices), 1)})
    return {
        label: compare(actual[rows], challenger[rows], champion[rows], shared, moments[rows])
        for label, rows in slices.items()
    }


def no_slice_worse(
    actual: np.ndarray,
    challenger: np.ndarray,
    champion: np.ndarray | None,
    slices: Mapping[str, np.ndarray],
    policy: Promotion,
    at: np.ndarray | None = None,
) -> Check:
    """Ask whether a challenger is much worse than the champion in some slice, and not by luck.

    Parameters
    ----------
    actual, challenger, champion : array, shape (n,)
        Targets and predictions of the held-out rows; no champion, nobody to be worse than.
    slices : mapping of str to array of bool, shape (n,)
        Which rows each slice has.
    at : array of time, shape (n,), optional
        The moment of each row, see `include.promotion.proof.compare`.

    Returns
    -------
    Check
        failed where a slice is proven worse, and by more than `slice_max_loss_pct`; unknown where one has fewer rows
        than a proof takes and looks so much worse, or where none has as many. Every slice that cannot be judged is
        told, and one in which the champion is proven better at all: which model is better turns between the groups
        (Simpson's paradox).
    """
    limit = policy.slice_max_loss_pct
    if champion is None or limit is None:
        return Check(RULE, "passed", "there is no champion whose slices could be compared")
    proofs = compare_slices(actual, challenger, champion, slices, policy, at)
    unknown = {label: proof for label, proof in proofs.items() if not proof.is_enough}
    turned = [label for label, proof in proofs.items() if proof.is_worse]
    larger = [label for label, proof in proofs.items() if -proof.gain_pct > limit]
    failed = [label for label in turned if label in larger]
    figures = {label: _figures(proof, label in failed) for label, proof in proofs.items()}
    allowed = f"promotion.slice_max_loss_pct allows {limit:g} %"
    looks = [
        f"{policy.metric} at {label} {-proofs[label].gain_pct:.1f} % larger than the champion's on"
        f" {proofs[label].rows} rows{f', {proofs[label].needed} are needed' if label in unknown else ''}"
        for label in failed or [label for label in larger if label in unknown]
    ]
    if failed:
        return Check(RULE, "failed", f"{'; '.join(looks)}: {allowed}", figures)
    if looks:
        way_out = "hold more rows out, or name coarser slices"
        return Check(RULE, "unknown", f"cannot be judged yet: {_some(looks, '; ')}: {allowed}; {way_out}", figures)
    few = _some((f"{label} ({one.rows} rows, {one.needed} are needed)" for label, one in unknown.items()), ", ")
    if len(unknown) == len(proofs):
        return Check(RULE, "unknown", f"no slice of the held-out rows has enough to judge it by: {few}", figures)
    told = f"in none of {len(proofs) - len(unknown)} slices proven worse by more than {limit:g} %"
    if unknown:
        told += f"; not known, but not looking worse: {few}"
    if turned:
        told += f"; warning: the champion is the better one at {', '.join(turned)}, whatever the mean says"
    return Check(RULE, "passed", told, figures)


def _figures(proof: Comparison, is_failed: bool) -> dict[str, float | str]:
    status = "failed" if is_failed else "passed" if proof.is_enough else "unknown"
    return {"status": status, "gain_pct": proof.gain_pct, "rows": proof.rows, "needed": proof.needed}


def _some(texts: Iterable[str], sign: str) -> str:
    texts = list(texts)
    more = [f"{len(texts) - NAMED} more"] if len(texts) > NAMED else []
    return sign.join([*islice(texts, NAMED), *more])
