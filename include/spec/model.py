"""The typed form of ``pipeline.yaml``: every key a pipeline may use, and nothing else.

One file describes a whole loop: where rows come from, what they must look like, how
features are built, which candidates compete, when to retrain and what to replay.
"""

from __future__ import annotations

from collections.abc import Iterator

from include.spec.checks import whole_pipeline
from include.spec.csv_source import CsvSource, TimeColumns
from include.spec.faults import Fault
from include.spec.fields import span
from include.spec.http_source import HttpJsonSource, JsonTime
from include.spec.kinds import AnySource, BanxicoSource, InegiSource, SqlSource
from include.spec.learning import Promotion, Thresholds
from include.spec.monitoring import Monitoring, Policy
from include.spec.parts import Parts, Replay
from include.spec.source import Column, Published, Source

__all__ = [
    "AnySource", "BanxicoSource", "Column", "CsvSource", "HttpJsonSource", "InegiSource", "JsonTime", "Monitoring",
    "Pipeline",
    "Policy", "Promotion", "Published", "Replay", "Source", "SqlSource", "Thresholds", "TimeColumns", "span",
]  # fmt: skip


class Pipeline(Parts):
    """A whole loop. The file is `include/pipelines/<name>/pipeline.yaml`."""

    def _faults(self) -> Iterator[Fault]:
        return whole_pipeline(self)
