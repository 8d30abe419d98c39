"""Where the page reads: the warehouse, MLflow, the lake, the reports, the health of all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigError, SourceUnavailable
from include.page.board import Board
from include.page.links import Links
from include.settings import settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from include.lake.store import Lake
    from include.registry.aliases import Registered
    from include.spec.model import Pipeline


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the page reads.

    Attributes
    ----------
    warehouse_url : callable
        Returns the warehouse's ``postgresql://`` URL; asked until it answers.
    mlflow_url : str
        MLflow as this process reaches it; people may reach it elsewhere: `links`.
    docs : pathlib.Path
        The folder of reports.
    lake_url : str
        The lake's root.
    board : Board
        The health of all pipelines.
    """

    warehouse_url: Callable[[], str]
    mlflow_url: str
    links: Links
    docs: Path
    lake_url: str
    board: Board

    @cached_property
    def engine(self) -> Engine:
        """The warehouse."""
        from include.warehouse.engine import connect_engine

        return connect_engine(self.warehouse_url())

    @cached_property
    def lake(self) -> Lake:
        """The lake."""
        from include.lake.store import Lake

        return Lake(self.lake_url)

    @classmethod
    def of_this_installation(cls, base: str) -> Place:
        """Return the place that Airflow's Connection `warehouse` and the environment name."""
        from include.health.looking import look
        from include.local.validation import faults_of_all

        mlflow = os.environ.get("MLFLOW_TRACKING_URI") or f"http://127.0.0.1:{settings().mlflow_port}"
        return cls(
            warehouse_url=_warehouse_url,
            mlflow_url=mlflow,
            links=Links(base, os.environ.get("CICLO_MLFLOW_SHOWN_URL") or mlflow),
            docs=settings().var / "docs",
            lake_url=settings().lake,
            board=Board(lambda: look(_warehouse_url(), mlflow, faults_of_all(None))),
        )

    def version(self, pipeline: str, number: int) -> tuple[Registered | None, str]:
        """Return a version as MLflow knows it; or None, and why it does not."""
        from include.registry.aliases import registered

        try:
            version = registered(self.mlflow_url, pipeline, number)
        except SourceUnavailable as error:
            return None, str(error)
        return version, "" if version else f"MLflow has no version {number} of {pipeline}: it was removed."

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with the files of pipelines, by pipeline, a line each."""
        from include.local.validation import faults_of_all

        return faults_of_all(None)

    def spec(self, pipeline: str) -> tuple[Pipeline | None, str]:
        """Return what pipeline.yaml says; or None, and why it cannot be read."""
        from include.spec.load import load_named

        try:
            return load_named(pipeline), ""
        except ConfigError as error:
            return None, str(error).splitlines()[0]


def _warehouse_url() -> str:
    """Return the URL of the warehouse by Airflow's Connection of that name."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from include.steps.connections import postgres_url

    try:
        return postgres_url(Connection.get("warehouse"))
    except AirflowNotFoundException:
        raise ConfigError("the Airflow Connection warehouse does not exist: declare it, or run ciclo up") from None
