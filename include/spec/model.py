"""The typed form of ``pipeline.yaml``: every key a pipeline may use, and nothing else.

One file describes a whole loop: where rows come from, what they must look like, how
features are built, which candidates compete, when to retrain and what to replay.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from include.spec.checks import whole_pipeline
from include.spec.csv_source import CsvSource, TimeColumns
from include.spec.faults import refuse
from include.spec.fields import NAME, UNITS, ConnectionId, Cron, Name, Span, Strict, Unit, Zone, span
from include.spec.http_source import HttpJsonSource, JsonTime
from include.spec.kinds import AnySource, BanxicoSource, InegiSource, SqlSource
from include.spec.learning import Candidate, Linear, Naive, Promotion, RandomForest, Split, Target, Thresholds, Training
from include.spec.parts import Alerts, Parts, Replay, Schedule
from include.spec.recipes import Recipe
from include.spec.source import Column, Published, Source

__all__ = [
    "NAME", "UNITS", "Alerts", "AnySource", "BanxicoSource", "Candidate", "Column", "ConnectionId", "Cron",
    "CsvSource", "HttpJsonSource", "InegiSource", "JsonTime", "Linear", "Naive", "Name", "Pipeline", "Promotion",
    "Published", "RandomForest", "Recipe", "Replay", "Schedule", "Source", "Span", "Split", "SqlSource", "Strict",
    "Target", "Thresholds", "TimeColumns", "Training", "Unit", "Zone", "span",
]  # fmt: skip


class Pipeline(Parts):
    """A whole loop. The file is `include/pipelines/<name>/pipeline.yaml`."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        refuse(whole_pipeline(self))
        return self
