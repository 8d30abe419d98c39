"""What a decision is, whoever takes it: the monitor, a promotion or a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Verdict:
    """A decision with its reasons and the figures behind it."""

    verdict: Literal["hold", "retrain", "investigate", "promote", "reject", "rollback"]
    reasons: list[str]
    evidence: dict[str, Any] = field(default_factory=dict)
