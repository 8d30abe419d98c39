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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg2
import pytest

from include.lake.store import Lake

HERE = Path(__file__).parent
SHORT = ("move", "move next", "commit", "end")  # over before a signal arrives
# Every place that matters; each is made up of the phases the tasks tell of, whatever their source.
PLACES = {
    "while extracting": {"extract: begin", "extract: move", "extract: move next"},
    "before a stream gets its name": {"check: move", "check: move next"},
    "while parsing": {"check: parse"},
    "while writing the streams": {"check: open", "check: open quarantined", "check: write", "check: write quarantined"},
    "while looking for repeats": {"check: repeats"},
    "while writing the streams again": {"check: rewrite", "check: rewrite quarantined", "check: quarantine"},
    "while copying onto new ground": {"load: copy"},
    "while staging": {"load: stage"},
    "while comparing": {"load: compare"},
    "while recording": {"load: record"},
    "before the commit": {"load: commit"},
    "after the commit, before the result is reported": {"load: end"},
}
START_SECONDS = 180.0  # for a process that imports all steps, on a busy machine
PATIENCE = 60.0  # seconds within which any phase ends, however busy the machine
AVAILABLE = "case when available_at = fetched_at then 'when fetched' else available_at::text end"
VERSIONS = f"""
select valid_at, {{key}}, {{own}}, sha256, w.window_start_at, {AVAILABLE} as available,
       row_number() over (partition by valid_at, {{key}} order by recorded_at) as version,
       superseded_at is not distinct from lead(recorded_at) over (partition by valid_at, {{key}} order by recorded_at)
           as is_chained
from (select valid_at, available_at, recorded_at, payload_id, {{own}}, null::timestamptz as superseded_at
      from core.{{table}}
      union all
      select valid_at, available_at, recorded_at, payload_id, {{own}}, superseded_at from core.{{table}}_history) v
left join raw.payload w using (payload_id)
"""
KNOWN = "and since when it was known"
TABLES = {
    "core.levels": "station_id, level_m, pulse_count, note",
    "core.levels_visits": "station_id, cost_mxn",
}
WINDOW = "pipeline, source, window_start_at, window_end_at"
COUNTS = "received_count, inserted_count, revised_count, unchanged_count, quarantined_count"
CONTENTS = {
    "raw.payload": f"select {WINDOW}, sha256, size_bytes, right(uri, 76) from raw.payload",
    "ops.quarantine": """select q.pipeline, q.source, q.window_start_at, q.window_end_at, sha256, row_number, rule,
        column_name, reason, raw_row, run_id from ops.quarantine q left join raw.payload using (payload_id)""",
    "ops.quality_result": f"""select {WINDOW}, batch_sha256, rule, column_name, severity, is_passed, row_count,
        unexpected_count, observed, expected, run_id from ops.quality_result""",
    "ops.watermark": "select pipeline, source, loaded_until_at from ops.watermark",
    "ops.run": f"""select dag_id, run_id, pipeline, window_start_at, window_end_at, {COUNTS}, checks_passed_count,
        checks_total_count, is_simulated from ops.run""",
    "ops.lineage": f"""select dag_id, run_id, pipeline, source, batch_sha256, table_name, {COUNTS},
        array(select sha256 from raw.payload where payload_id = any (payload_ids) order by 1) from ops.lineage""",
}
LEFT_OVER = """
select name from (
    select relnamespace::regnamespace || '.' || relname as name, relnamespace::regnamespace::text as home, *
    from pg_class where relkind in ('r', 'p', 't', 'm')
) tables
where relpersistence <> 'p' or name <> 'public.schema_version'
    and home <> all ('{core, raw, ops, ml, mart, feature, pg_catalog, information_schema, pg_toast}')
order by 1
"""


def place(phase: str) -> str:
    """Return the place that a phase belongs to; one that belongs to none is its own."""
    task, _, step = phase.partition(": ")
    name = f"{task.partition(' ')[0]}: {step}"
    return next((found for found, phases in PLACES.items() if name in phases), name)


def python(script: str, *arguments: str, environ: Mapping[str, str] = {}, **options: Any) -> subprocess.Popen[str]:
    """Start a script of this folder in a process of its own: pytest's must not fork, it has threads."""
    root = str(HERE.parents[1])
    command = [sys.executable, str(HERE / script), *arguments]
    return subprocess.Popen(command, cwd=root, env=os.environ | {"PYTHONPATH": root} | environ, text=True, **options)


@dataclass(frozen=True)
class Asked:
    """One run of the DAG, and what must be in ``core.levels`` after it."""

    run_id: str
    window: dict[str, str]
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
        self._process = psutil.Process(self.pid)

    @property
    def phase(self) -> str:
        """The last phase it told of."""
        return "load: reported" if "load" in self.results else self.phases[-1][0] if self.phases else "before"

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
        """Kill the process with SIGKILL where it is and tell whether it was still there."""
        self._send(signal.SIGKILL)
        self.finish()
        return self.ended == -signal.SIGKILL

    def finish(self) -> None:
        """Wait until the process has ended."""
        self.follow()
        assert self.ended is not None, f"the task hangs in {self.phase}"

    def release(self) -> None:
        """Let it go on from where it is held."""
        self._send(signal.SIGUSR1)

    def _send(self, number: int) -> None:
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)

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

    def __init__(self, folder: Path, environ: Mapping[str, str] = {}) -> None:
        self.log, pipe = folder / "tasks.log", subprocess.PIPE
        with self.log.open("w") as log:
            self._process = python("task_server.py", environ=environ, stdin=pipe, stdout=pipe, stderr=log)
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, **job: Any) -> Attempt:
        """Start a try; `done` is what the tasks of earlier ones reported, `hold` a phase to stay in."""
        asked: Asked = job.pop("asked")
        job = {"done": {}, "hold": None} | job
        job |= {"run_id": asked.run_id, "window": asked.window, "source": asked.source}
        print(json.dumps(job), file=self._process.stdin, flush=True)
        return Attempt(self._next()["pid"], self._lines)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(PATIENCE)

    def wait_until_ready(self) -> None:
        assert self._lines.get(timeout=START_SECONDS) == {"is_ready": True}

    def _next(self) -> dict[str, Any]:
        return self._lines.get(timeout=PATIENCE)

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(json.loads(line))


class Site:
    """A warehouse and a lake, and the tasks that fill them."""

    def __init__(self, server: TaskServer, warehouse: str, lake: Path) -> None:
        self.server, self.warehouse, self.folder, self.lake = server, warehouse, lake, f"file://{lake}"

    def beside(self, server: TaskServer) -> Site:
        """Return the same site with other tasks, for tries at the same moment."""
        return Site(server, self.warehouse, self.folder)

    def start(self, asked: Asked, **options: Any) -> Attempt:
        return self.server.start(warehouse=self.warehouse, lake=self.lake, asked=asked, **options)

    def complete(self, asked: Asked, done: dict[str, Any] | None = None, **options: Any) -> Attempt:
        """Run what is left of a run; it must pass. Results of earlier tries are in its own."""
        attempt = self.start(asked, done=done or {}, **options)
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
            versions = VERSIONS.format(table=name, key="station_id", own=own)
            queries |= {table: versions.replace(AVAILABLE, "null"), f"{table} {KNOWN}": versions}
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
            twice = f"select count(*) from (select from {table} group by valid_at, station_id having count(*) > 1) t"
            lost = "count(*) filter (where not is_chained), count(*) filter (where sha256 is null)"
            [(twice, gaps, homeless)] = self.sql(f"select ({twice}), {lost} from ({versions}) v")
            found.update(duplicates=twice, gaps=gaps, homeless=homeless)
        return {name: count for name, count in found.items() if count}

    def loaded(self) -> tuple[int, int]:
        [found] = self.sql("select count(*), sum(pulse_count)::bigint from core.levels")
        return found

    def left_over(self) -> list[str]:
        """Return tables that are temporary, unlogged or in a schema that nobody knows."""
        return [name for (name,) in self.sql(LEFT_OVER)]

    def clean_lake(self) -> tuple[set[str], set[str]]:
        """Sweep the lake; return the files that went and those that stay."""
        from include.steps.keep_house import clean_lake

        before = self._files()
        clean_lake(Lake(self.lake), timedelta(seconds=-1))
        after = self._files()
        return before - after, after

    def lost(self) -> set[str]:
        """Return the payloads that only one of lake and warehouse knows, and those whose bytes have another hash."""
        from include.errors import ContractBroken

        known = {str(sha256): uri for sha256, uri in self.sql("select sha256, uri from raw.payload")}
        found = {path.parent.name + path.stem for path in self.folder.glob("payloads/*/*.zst")}
        told = {json.loads(path.read_text())["sha256"] for path in self.folder.glob("manifests/**/*.json")}
        damaged = set()
        for sha256, uri in known.items():
            try:
                Lake(self.lake).open(uri).read()
            except ContractBroken:
                damaged.add(sha256)
        return (known.keys() ^ found) | (found ^ told) | damaged

    def _files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


class Chance:
    """Chooses moments: each place once, then half of them at random, half in the place that was hit least.

    Attributes
    ----------
    hits : Counter
        How often each phase was hit; kept by whoever hits.
    places : tuple of str
        Where to aim.
    hold_share : float
        How many of the tries that are aimed at are held in the phase, 0 to 1; others run on.
    """

    def __init__(self, seed: int, usual: list[Usual]) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing is secret here
        self.hits: Counter[str] = Counter()
        self.places, self.hold_share = tuple(PLACES), 0.4
        self._runs = Counter(found for run in usual for found in {place(phase) for phase, _ in run.phases})

    def missed(self) -> list[str]:
        """Return the places aimed at that were never hit."""
        hit = {place(phase) for phase in self.hits}
        return [name for name in self.places if name not in hit]

    def start(self, site: Site, asked: Asked, usual: Usual, done: dict[str, Any]) -> Attempt:
        """Start a try and return at the chosen moment of it; it is held there, runs on or may have ended."""
        spans = usual.spans(done)
        aims = [span for span in spans if place(span[0]) in self.places]
        if not aims or (self.hits.total() % 2 and not self.missed()):
            attempt = site.start(asked, done=done)
            attempt.follow(self.random.uniform(0, 0.95 * sum(seconds for _, seconds in spans)))
            return attempt
        aim, seconds = min(aims, key=self._rank)
        is_held = aim.partition(": ")[2] in SHORT or self.random.random() < self.hold_share
        attempt = site.start(asked, done=done, hold=aim if is_held else None)
        if attempt.follow(phase=aim):
            attempt.follow(self.random.uniform(0, 0.8 * seconds))
        return attempt

    def _rank(self, span: tuple[str, float]) -> tuple[int, int, float]:
        """Sort what was hit least to the front, then what comes in the fewest runs, then by chance."""
        name = place(span[0])
        hits = sum(count for phase, count in self.hits.items() if place(phase) == name)
        return hits, self._runs[name], self.random.random()

    def what_is_left_to_do(self, done: dict[str, Any]) -> dict[str, Any]:
        """Return what stays done: now and then a person clears the whole run, and so it is done again."""
        return {} if "load" in done or self.random.random() < 0.3 else done


@pytest.fixture
def chance(seed: int, undisturbed: list[Usual]) -> Chance:
    return Chance(seed, undisturbed)


@pytest.fixture(scope="session")
def seed() -> int:
    """Give the seed of this session; FAULT_SEED repeats one that failed."""
    found = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FAULT_SEED={found}")
    return found


@pytest.fixture(scope="session")
def runs(seed: int, tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    """Give the runs, in order; see levels.py."""
    folder = tmp_path_factory.mktemp("levels")
    python("levels.py", str(folder), str(seed)).wait()
    return [Asked(**facts) for facts in json.loads((folder / "runs.json").read_text())]


@pytest.fixture(scope="session")
def task_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    server = TaskServer(tmp_path_factory.mktemp("tasks"))
    server.wait_until_ready()
    yield server
    server.close()


@pytest.fixture(scope="session")
def second_task_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskServer]:
    """Give one for tries at the same moment as those of the first."""
    server = TaskServer(tmp_path_factory.mktemp("tasks"))
    server.wait_until_ready()
    yield server
    server.close()


@pytest.fixture(scope="session")
def make_site(task_server: TaskServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Site]:
    """Give a function that makes an empty warehouse, on the server with this superuser's URL, and an empty lake.

    The server has a migrated database ``warehouse``; all are gone with it.
    """
    from include.local import postgres
    from include.local.secrets import secret

    def make(superuser_url: str, server: TaskServer = task_server, lake: Path | None = None) -> Site:
        name = f"faults_{uuid4().hex[:12]}"
        with closing(postgres.connect(superuser_url)) as link, link.cursor() as cursor:
            cursor.execute(f"create database {name} owner warehouse template warehouse")
        url = postgres.with_database(superuser_url, name, "warehouse", secret("postgres_warehouse"))
        return Site(server, url, lake or tmp_path_factory.mktemp("lake"))

    return make


@pytest.fixture(scope="session")
def undisturbed(
    make_site: Callable[[str], Site], postgres_url: str, migrated_template: str, runs: list[Asked]
) -> list[Usual]:
    """Give how each run goes when nobody kills anything."""
    site, found = make_site(postgres_url), []
    for asked in runs:
        attempt = site.complete(asked)
        found.append(Usual(attempt.phases, attempt.results["load"], site.contents()))
        assert site.loaded() == (asked.row_count, asked.pulse_sum), "the source's own account"
        assert site.faults() == {}
    return found
