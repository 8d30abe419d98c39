"""Follow the alias `champion` of every pipeline: another version is brought here, proven, and then named.

So is the challenger that waits in shadow by the ledger, where `predictions.rollout` lets it answer beside the champion.

Who moves an alias says so on a channel of the warehouse; in case nobody did, or the warehouse is not there to pass it
on, MLflow is asked every few seconds as well.
"""

from __future__ import annotations

import logging
import select
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import ConfigError, ContractBroken, SourceUnavailable
from include.promotion.ledger import MOVED
from include.registry.download import Downloads, Stored
from include.serving.alerting import tell
from include.serving.challengers import Waiting, in_shadow, plan_of, record_stops
from include.serving.link import Link
from include.serving.loading import load
from include.serving.rollout import Plan
from include.serving.troubles import Troubles
from include.serving.versions import fetch, point, prune, standing, withdraw
from include.settings import settings
from include.spec.load import load_runnable

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

    from include.spec.model import Pipeline

LISTENS_SECONDS, POLLS_SECONDS = 5.0, 1.0  # pauses between looks while a notice would end them, and while none can
INTERVALS = """
select distinct on (pipeline, model_version) pipeline, model_version, half_width, as_of from ml.interval
where (pipeline, model_version) in (select * from unnest(%s::text[], %s::integer[]))
order by pipeline, model_version, as_of desc
"""
log = logging.getLogger(__name__)


class Follower:
    """Keeps the versions in a folder as the registry says.

    Parameters
    ----------
    folder : Path
        Of the versions, see `include.serving.versions`.
    database : str
        URL of the warehouse.
    troubles : Troubles
        Where what does not work is noted.
    """

    def __init__(self, folder: Path, downloads: Downloads, database: str, troubles: Troubles) -> None:
        self._folder, self._downloads, self._database, self._troubles = folder, downloads, database, troubles
        self._link = Link(database, "notices", troubles, _listen)
        self._failed: dict[str, dict[tuple[int, str], str]] = {}

    def run(self) -> None:
        """Follow for ever."""
        while True:
            self.look()
            if self._link.use(_wait) is None:
                time.sleep(POLLS_SECONDS)

    def look(self) -> None:
        """Let every pipeline's champion answer here, or note why it does not."""
        self._link.use(lambda connection: record_stops(connection, self._folder, self._database))
        challengers = self._link.use(in_shadow)
        try:
            pipelines = load_runnable()
            self._withdraw_removed()
            for name in pipelines:
                self._follow_one(name)
            if challengers is not None:  # else those that are here go on
                for spec in pipelines.values():
                    self._follow_challenger(spec, challengers.get(spec.pipeline))
        except ConfigError as error:
            self._troubles.note("pipelines", str(error))
        except SourceUnavailable as error:
            self._troubles.note("mlflow", f"{error}; the versions that are here go on")
        else:
            self._troubles.clear("pipelines")
            self._troubles.clear("mlflow")
        self._link.use(self._set_intervals)

    def _follow_one(self, name: str) -> None:
        try:
            self._follow(name)
        except (ContractBroken, OSError) as error:
            self._troubles.note(name, f"{error}; the version before goes on, if there is one")
        else:
            self._troubles.clear(name)

    def _follow(self, name: str) -> None:
        stored = self._downloads.by_alias(name, "champion")
        if stored is None:
            withdraw(self._folder, name)
            return
        place = fetch(self._downloads, stored, self._folder)
        wanted = {"version": stored.version, "sha256": stored.tags["sha256"]}
        if wanted.items() <= standing(self._folder, name).items():
            return
        self._prove(stored, place, "The version before goes on answering, if there is one")
        point(self._folder, name, wanted | {"since": datetime.now(UTC).isoformat()})
        log.info("%s: version %d answers", name, stored.version)
        prune(self._folder, name, self._needed(name, stored))

    def _follow_challenger(self, spec: Pipeline, waiting: Waiting | None) -> None:
        """Let who waits in shadow answer beside the champion, as far as the spec says; nobody else."""
        name, current = spec.pipeline, standing(self._folder, spec.pipeline)
        part, rollout = f"{name} challenger", spec.predictions.rollout
        wanted = {key: value for key, value in current.items() if key != "challenger"}
        try:
            if waiting and rollout.mode != "basic" and waiting.champion == current.get("version"):
                wanted["challenger"] = self._brought(spec, waiting).to_dict()
        except (ContractBroken, OSError) as error:
            self._troubles.note(part, f"{error}; the champion answers alone")
        else:
            self._troubles.clear(part)
        if current:
            point(self._folder, name, wanted)

    def _brought(self, spec: Pipeline, waiting: Waiting) -> Plan:
        """Bring a challenger here, unless it is here, and return how it takes part."""
        stored = self._downloads.by_number(spec.pipeline, waiting.version)
        place, plan = fetch(self._downloads, stored, self._folder), plan_of(spec, waiting, stored.tags["sha256"])
        if standing(self._folder, spec.pipeline).get("challenger", {}).get("sha256") != plan.sha256:
            self._prove(stored, place, "The champion answers alone")
            log.info("%s: version %d answers beside the champion, %s", spec.pipeline, plan.version, plan.mode)
        return plan

    def _prove(self, stored: Stored, place: Path, instead: str) -> None:
        """Let a version answer its golden rows; one that fails is not asked again until other versions come."""
        key, failed = (stored.version, stored.tags["sha256"]), self._failed.setdefault(stored.pipeline, {})
        if key not in failed:
            try:
                load(place)
                return
            except ContractBroken as error:
                failed[key] = str(error)
        with self._troubles.awaits("notices"):
            tell(self._database, stored.pipeline, f"{failed[key]}. {instead}", f"serving version {stored.version}")
        raise ContractBroken(failed[key])

    def _needed(self, name: str, champion: Stored) -> set[int]:
        previous = self._downloads.by_alias(name, "previous")
        named = standing(self._folder, name)
        numbers = {each["version"] for each in (named, named.get("challenger")) if each}
        return numbers | {champion.version} | ({previous.version} if previous else set())

    def _withdraw_removed(self) -> None:
        """Let pipelines be answered no more whose folder is gone; one whose pipeline.yaml is broken goes on."""
        here = [place.name for place in self._folder.iterdir() if place.is_dir()]
        for name in here:
            if not (settings().pipelines / name).is_dir():
                withdraw(self._folder, name)
                self._troubles.clear(name)

    def _set_intervals(self, connection: PgConnection) -> None:
        """Let the newest interval of each version that stands be the one that answers have."""
        currents = {place.name: standing(self._folder, place.name) for place in self._folder.iterdir()}
        versions = {name: current["version"] for name, current in currents.items() if current}
        with connection.cursor() as cursor:
            cursor.execute(INTERVALS, (list(versions), list(versions.values())))
            for name, _, half_width, as_of in cursor.fetchall():
                interval: dict[str, Any] = {"half_width": half_width, "interval_as_of": as_of.isoformat()}
                point(self._folder, name, currents[name] | interval)


def _listen(connection: PgConnection) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"listen {MOVED}")


def _wait(connection: PgConnection) -> bool:
    """Wait until somebody says that a champion has moved, but not for long."""
    select.select([connection], [], [], LISTENS_SECONDS)
    connection.poll()
    connection.notifies.clear()
    return True
