"""A source that changes from run to run, tasks that can be killed anywhere, and what must be in the warehouse after."""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import psycopg2
import pytest

from include.windows import Window

HERE = Path(__file__).parent
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
START = pd.Timestamp(FIRST_DAY).tz_localize(None)
RUN_AFTER = datetime(2025, 6, 1, tzinfo=UTC)
ROUNDS, DAYS_A_WINDOW, STEPS_A_DAY, STATIONS = 9, 3, 288, 30
PATIENCE = 60.0  # seconds within which any phase ends, however busy the machine
VERSIONS = """
select valid_at, {key}, {own}, sha256, w.window_start_at,
       case when available_at = fetched_at then 'when fetched' else available_at::text end as available,
       row_number() over (partition by valid_at, {key} order by recorded_at) as version,
       superseded_at is not distinct from lead(recorded_at) over (partition by valid_at, {key} order by recorded_at)
           as is_chained
from (select valid_at, available_at, recorded_at, payload_id, {own}, null::timestamptz as superseded_at from core.{table}
      union all
      select valid_at, available_at, recorded_at, payload_id, {own}, superseded_at from core.{table}_history) v
left join raw.payload w using (payload_id)
"""
TABLES = {
    "core.levels": "station_id, level_m, pulse_count, note",
    "core.levels_visits": "station_id, cost_mxn",
}
WINDOW = "pipeline, source, window_start_at, window_end_at"
COUNTS = "received_count, inserted_count, revised_count, unchanged_count, quarantined_count"
CONTENTS = {
    "raw.payload": f"select {WINDOW}, sha256, size_bytes, right(uri, 76) from raw.payload",
    "ops.quarantine": f"""select q.pipeline, q.source, q.window_start_at, q.window_end_at, sha256, row_number, rule,
        column_name, reason, raw_row, run_id from ops.quarantine q left join raw.payload using (payload_id)""",
    "ops.quality_result": f"""select {WINDOW}, batch_sha256, rule, column_name, severity, is_passed, row_count,
        unexpected_count, observed, expected, run_id from ops.quality_result""",
    "ops.watermark": "select pipeline, source, loaded_until_at from ops.watermark",
    "ops.run": f"""select dag_id, run_id, pipeline, window_start_at, window_end_at, {COUNTS}, checks_passed_count,
        checks_total_count, is_simulated from ops.run""",
    "ops.lineage": f"""select dag_id, run_id, pipeline, source, batch_sha256, table_name, {COUNTS},
        array(select sha256 from raw.payload where payload_id = any (payload_ids) order by 1) from ops.lineage""",
}


@dataclass(frozen=True)
class Round:
    """One run of the DAG, and what must be in ``core.levels`` after it."""

    run_id: str
    window: Window
    source: str
    row_count: int
    pulse_sum: int


@dataclass(frozen=True)
class Usual:
    """How a run goes when nobody kills anything.

    Attributes
    ----------
    phases : list of (str, float)
        In order, each with the instant it began, seconds.
    loaded : any
        What the task ``load`` reports.
    """

    phases: list[tuple[str, float]]
    loaded: Any
    contents: dict[str, tuple[int, Any]]

    def spans(self, done: Iterable[str]) -> list[tuple[str, float]]:
        """Return phases of the tasks that are not done, with how long each lasts, seconds."""
        ends = [at for _, at in self.phases[1:]] + [self.phases[-1][1]]
        left = zip(self.phases, ends, strict=True)
        return [(name, end - at) for (name, at), end in left if name.partition(":")[0] not in done]


@dataclass
class Attempt:
    """A try of one run, in a process of its own."""

    pid: int
    lines: queue.Queue[dict[str, Any]]
    phases: list[tuple[str, float]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    message: str = ""
    ended: int | None = None

    def __post_init__(self) -> None:
        self._handle = os.pidfd_open(self.pid)  # a number can come to mean another process, this cannot

    @property
    def phase(self) -> str:
        """The last phase it told of."""
        return self.phases[-1][0] if self.phases else "begin"

    def follow(self, seconds: float = PATIENCE, phase: str | None = None) -> bool:
        """Listen until a phase begins, the process ends or the time is over; tell whether it was the first."""
        deadline = time.monotonic() + seconds
        while self.ended is None:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            self._take(line)
            if phase is not None and line.get("phase") == phase:
                return True
        return False

    def kill(self) -> bool:
        """Kill the process where it is and tell whether it was still there."""
        signal.pidfd_send_signal(self._handle, signal.SIGKILL) if self.ended is None else None
        self.finish()
        return self.ended == -signal.SIGKILL

    def finish(self) -> None:
        """Wait until the process has ended."""
        self.follow()
        assert self.ended is not None, f"the task hangs in {self.phase}"
        os.close(self._handle)

    def _take(self, line: dict[str, Any]) -> None:
        if "phase" in line:
            self.phases.append((line["phase"], line["at"]))
        elif "task" in line:
            self.results[line["task"]] = line["result"]
        elif "error" in line:
            self.error, self.message = line["error"], line["message"]
        else:
            self.ended = line["ended"]


class TaskServer:
    """Starts tries of runs in processes forked from a warm one."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "tasks.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "task_server.py")],
                cwd=HERE.parents[1],
                env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
                **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True},
            )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, **job: Any) -> Attempt:
        """Start a try; its surroundings are `warehouse`, `lake` and `round`, `done` what earlier tries reported."""
        entry: Round = job.pop("round")
        job = {"done": {}, "until": "load", "hold": None} | job
        job |= {"run_id": entry.run_id, "window": entry.window.to_dict(), "source": entry.source}
        print(json.dumps(job | {"run_after": RUN_AFTER.isoformat()}), file=self._process.stdin, flush=True)
        return Attempt(self._next()["pid"], self._lines)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(PATIENCE)

    def wait_until_ready(self) -> None:
        assert self._next() == {"is_ready": True}

    def _next(self) -> dict[str, Any]:
        return self._lines.get(timeout=PATIENCE)

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(json.loads(line))


class Site:
    """A warehouse and a lake, and the tasks that fill them."""

    def __init__(self, server: TaskServer, warehouse: str, lake: Path) -> None:
        self.server, self.warehouse, self.lake = server, warehouse, f"file://{lake}"

    def start(self, entry: Round, **options: Any) -> Attempt:
        return self.server.start(warehouse=self.warehouse, lake=self.lake, round=entry, **options)

    def complete(self, entry: Round, done: dict[str, Any] | None = None, **options: Any) -> Attempt:
        """Run what is left of a run; it must pass. Results of earlier tries are in its own."""
        attempt = self.start(entry, done=done or {}, **options)
        attempt.finish()
        assert attempt.ended == 0, f"{attempt.phase}: {attempt.error} {attempt.message}"
        attempt.results = (done or {}) | attempt.results
        return attempt

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.warehouse, options="-c timezone=UTC")) as link, link.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def contents(self) -> dict[str, tuple[int, Any]]:
        """Return number and checksum of what every table holds, but for the clock and the order of arrival."""
        queries = dict(CONTENTS)
        for table, own in TABLES.items():
            name = table.removeprefix("core.")
            queries[table] = VERSIONS.format(table=name, key="station_id", own=own)
        parts = [
            f"select '{name}', count(*), sum(hashtextextended(x::text, 0)) from ({query}) x"
            for name, query in queries.items()
        ]
        return {name: (count, checksum) for name, count, checksum in self.sql(" union all ".join(parts))}

    def faults(self) -> dict[str, int]:
        """Return how often a key is there twice, a version is missing between two, a row has no payload."""
        found: Counter[str] = Counter()
        for table, own in TABLES.items():
            versions = VERSIONS.format(table=table.removeprefix("core."), key="station_id", own=own)
            [(twice, gaps, homeless)] = self.sql(
                f"select (select count(*) from (select from {table} group by valid_at, station_id having count(*) > 1)"
                f" t), count(*) filter (where not is_chained), count(*) filter (where sha256 is null) from ({versions}) v"
            )
            found.update(duplicates=twice, gaps=gaps, homeless=homeless)
        return {name: count for name, count in found.items() if count}

    def loaded(self) -> tuple[int, int]:
        [found] = self.sql("select count(*), sum(pulse_count)::bigint from core.levels")
        return found

    def staging(self) -> list[str]:
        """Return the tables in schema staging and the names in its register."""
        found = self.sql("select tablename from pg_tables where schemaname = 'staging' union all select table_name from ops.staging")
        return [name for (name,) in found]


class Levels:
    """What the gauges know, and what of it has been sent rightly: SIMULATED."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, np.random.default_rng(seed)
        size = ((ROUNDS + DAYS_A_WINDOW) * STEPS_A_DAY, STATIONS)
        self.version = np.zeros(size, int)
        self.is_there = self.random.random(size) < 0.9
        self.loaded = np.full(size, -1)  # the version of each row that was sent without a fault

    def round(self, number: int) -> Round:
        """Change the source, write its files and return the run that is to load them."""
        first = number * STEPS_A_DAY
        rows = slice(first, first + DAYS_A_WINDOW * STEPS_A_DAY)
        window = Window(FIRST_DAY + timedelta(days=number), FIRST_DAY + timedelta(days=number + DAYS_A_WINDOW))
        self.is_there[rows] |= self.random.random(self.is_there[rows].shape) < 0.3
        self.version[rows] += self.random.random(self.version[rows].shape) < 0.03
        folder = self.folder / f"round-{number}"
        folder.mkdir()
        step, station = np.nonzero(self.is_there[rows])
        frame = self._frame(step + first, station)
        frame, is_sent = self._spoil(frame, has_repeats=number % 3 > 0)
        self.loaded[step[is_sent] + first, station[is_sent]] = self.version[step[is_sent] + first, station[is_sent]]
        if number % 3 == 2:
            frame = frame.sample(frac=1, random_state=number)
        frame.to_csv(folder / "gauges.csv", index=False)
        self._visits(number).to_csv(folder / "visits.csv", index=False)
        step, station = np.nonzero(self.loaded >= 0)
        pulses = int(_pulses(step, station, self.loaded[step, station]).sum())
        return Round(f"round-{number}", window, f"file://{folder}", len(step), pulses)

    def _frame(self, step: np.ndarray, station: np.ndarray) -> pd.DataFrame:
        version = self.version[step, station]
        return pd.DataFrame(
            {
                "at": (START + pd.to_timedelta(step * (1440 // STEPS_A_DAY), "min")).strftime("%Y-%m-%d %H:%M:%S"),
                "station": station,
                "level": np.round(50 + 40 * np.sin(step / 90 + station) + version / 100, 3).astype(str),
                "pulses": _pulses(step, station, version),
                "note": np.where(step % 50 == 0, 'dijo: "año, marea"', ""),
            }
        )

    def _spoil(self, frame: pd.DataFrame, has_repeats: bool) -> tuple[pd.DataFrame, np.ndarray]:
        """Break, repeat and contradict some rows; tell which of the others arrive as they are."""
        is_sent = np.ones(len(frame), bool)
        faulty = self.random.choice(len(frame), 160, replace=False)
        unreadable, beyond, repeated, contradicted = np.split(faulty, 4)
        frame.loc[unreadable, "level"] = "broken"
        frame.loc[beyond, "level"] = "1000000"
        is_sent[[*unreadable, *beyond]] = False
        if not has_repeats:
            return frame, is_sent
        is_sent[contradicted] = False
        other = frame.loc[contradicted].assign(level="1.5")
        return pd.concat([frame, frame.loc[repeated], other]).sort_values("at", kind="stable"), is_sent

    def _visits(self, number: int) -> pd.DataFrame:
        days = START + pd.to_timedelta(range(number, number + DAYS_A_WINDOW), "D")
        costs = [100 + number * (day.day % 2) for day in days for _ in range(STATIONS)]
        return pd.DataFrame({"at": np.repeat(days.strftime("%Y-%m-%d %H:%M:%S"), STATIONS), "station": [*range(STATIONS)] * len(days), "cost": costs})


def _pulses(step: np.ndarray, station: np.ndarray, version: np.ndarray) -> np.ndarray:
    return step * 1000 + station * 10 + version


@pytest.fixture(scope="session")
def seed() -> int:
    """Give the seed of this session; FAULT_SEED repeats one that failed."""
    found = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULT_SEED={found}")
    return found


@pytest.fixture(scope="session")
def rounds(seed: int, tmp_path_factory: pytest.TempPathFactory) -> list[Round]:
    """Give the runs, in order; the last one is the one before it once more, of which nothing is new."""
    levels = Levels(tmp_path_factory.mktemp("levels"), seed)
    found = [levels.round(number) for number in range(ROUNDS - 1)]
    last = found[-1]
    return [*found, Round("again", last.window, last.source, last.row_count, last.pulse_sum)]


@pytest.fixture(scope="session")
def task_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    server = TaskServer(tmp_path_factory.mktemp("tasks"))
    server.wait_until_ready()
    yield server
    server.close()


@pytest.fixture
def site(task_server: TaskServer, new_warehouse: Callable[[], str], tmp_path: Path) -> Site:
    """Give an empty warehouse and an empty lake."""
    return Site(task_server, new_warehouse(), tmp_path / "lake")


@pytest.fixture(scope="session")
def undisturbed(
    task_server: TaskServer, new_warehouse: Callable[[], str], rounds: list[Round], tmp_path_factory: pytest.TempPathFactory
) -> list[Usual]:
    """Give how each run goes when nobody kills anything."""
    site = Site(task_server, new_warehouse(), tmp_path_factory.mktemp("undisturbed"))
    found = []
    for entry in rounds:
        attempt = site.complete(entry)
        found.append(Usual(attempt.phases, attempt.results["load"], site.contents()))
        assert site.loaded() == (entry.row_count, entry.pulse_sum), "the source's own account"
        assert site.faults() == {}
    return found


@pytest.fixture(scope="session")
def new_warehouse(postgres_url: str, migrated_template: str) -> Callable[[], str]:
    """Give a function that makes a migrated, empty warehouse; they are gone with the session's Postgres."""
    from include.local import postgres
    from include.local.secrets import secret

    def make() -> str:
        name = f"faults_{uuid4().hex[:12]}"
        with closing(postgres.connect(postgres_url)) as link, link.cursor() as cursor:
            cursor.execute(f'create database {name} owner warehouse template "{migrated_template}"')
        return postgres.with_database(postgres_url, name, "warehouse", secret("postgres_warehouse"))

    return make
