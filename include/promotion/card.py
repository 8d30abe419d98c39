"""The model card: what a version is, in Markdown, for people who meet it in MLflow. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.promotion.proof import Comparison
    from include.spec.model import Pipeline


def model_card(
    pipeline: Pipeline,
    number: int,
    tags: Mapping[str, str],
    metrics: Mapping[str, float | None],
    error: Comparison,
    reasons: Sequence[str],
) -> str:
    """Return the card of a version.

    Parameters
    ----------
    tags : mapping of str to str
        The version's: candidate, cut_at, trained_until, data_origin, snapshot_id, code, verdict, …
    metrics : mapping
        Of the held-out rows, see `include.training.evaluate.Metrics`.
    error : Comparison
        The mean loss on those rows with its interval: the version against predictions without any error.
    """
    target, candidate = pipeline.target, pipeline.training.candidates[tags["candidate"]]
    unit = pipeline.sources[pipeline.main].columns[target.column].unit
    ahead = f"{target.horizon} rows ahead" if target.horizon else "of the same row"
    chosen = ", ".join(f"{key} {value}" for key, value in candidate.model_dump().items() if key != "kind")
    loss = "mean absolute error" if pipeline.promotion.metric == "mae" else "mean squared error"
    figures = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if value is not None)
    return f"""\
## {pipeline.pipeline}, version {number}

{pipeline.title}. Predicts `{target.column}` ({unit}), {ahead}; its interval should cover {target.interval:.0%}.

**Data**: {tags["rows"]} rows whose target was known before {tags["cut_at"]}, fitted until {tags["trained_until"]};
origin: **{tags["data_origin"]}**; snapshot `{tags["snapshot_id"][:12]}`. Inputs and target: {tags["changed"]}.

**Candidate**: {tags["candidate"]}, {candidate.kind}{f" ({chosen})" if chosen else ""}, seed {pipeline.training.seed};
{len(pipeline.feature_names())} features; code: {tags["code"]}; run `{tags["run"]}`, because: {tags["reason"]}

**On {error.rows} held-out rows**: {figures};
{loss} {error.low:.4g} to {error.high:.4g} ({error.confidence:.0%} interval).

{_decision(tags["verdict"], reasons)}

**Limits**: it knows nothing later than its data, and no values beyond those it was fitted on; its error is watched by
`monitor_{pipeline.pipeline}`. The first interval is made from the held-out errors and follows the truth from then on.

**Go back**: `ciclo rollback {pipeline.pipeline} --reason "…"` makes the version before it the champion,
`ciclo rollback {pipeline.pipeline} --to {number} --reason "…"` this one; `ciclo reproduce {pipeline.pipeline} {number}`
trains it again.
"""


def with_decision(card: str, verdict: str, reasons: Sequence[str]) -> str:
    r"""Return a card with another decision on the same version.

    Examples
    --------
    >>> with_decision("**Decision: hold**\n\n- it waits\n\n**Limits**: it knows", "promote", ["approved"])
    '**Decision: promote**\n\n- approved\n\n**Limits**: it knows'
    """
    head, _, rest = card.partition("**Decision:")
    _, limits, tail = rest.partition("**Limits**")
    return f"{head}{_decision(verdict, reasons)}\n\n{limits}{tail}"


def _decision(verdict: str, reasons: Sequence[str]) -> str:
    return "\n".join([f"**Decision: {verdict}**", "", *(f"- {reason}" for reason in reasons)])
