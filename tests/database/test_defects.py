"""Every kind of rule against a file that breaks it: through lake, check, rules across rows, and load.

The files are in ``defects``, each named by what is wrong with it; ``clean.csv`` is what all of them should have been.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest

from include.errors import ContractBroken
from include.lake.manifest import manifest
from include.quality.rules import rules
from include.quarantine.record import UNREADABLE
from include.sources.payload import Payload, Spool
from include.spec.load import load
from include.spec.model import Pipeline
from include.spec.quality import Check
from include.spec.source import RULES
from include.steps import ingest
from include.steps.extract import extract
from include.steps.run import Run
from include.warehouse.batch import RunRef
from include.windows import Window

FOLDER = Path(__file__).with_name("defects")
WINDOW = Window.parse("2024-03-30", "2024-04-01")
HOURS = 48
BLOCKED = "blocked, nothing was loaded"
Broken = tuple[str, str]  # rule and column

ALL = range(HOURS)
CO, BENZENE, O3, AIR = "co_mg_m3", "benzene_ug_m3", "o3_sensor", "temperature_deg_c"
STATION, SAMPLE, REMARK, HUMIDITY = "station_code", "sample_code", "remark", "humidity_pct"


@dataclass(frozen=True)
class Defect:
    """What a file has to come to.

    Attributes
    ----------
    broken : dict
        By rule and column how many rows, values or expected times broke it; every other rule must hold.
    aside : dict
        By row number the rule and column that each row is quarantined for.
    whole : (str, str), optional
        Rule and column of the entry for the batch as a whole, where it was blocked.
    says : str
        What people are told: in the reason of the quarantine, or in what a rule observed.
    warned : tuple of str
        Those of the broken rules that only warn.
    received : int
        Rows of the file in the window, as somebody who reads the file counts them.
    """

    broken: Mapping[Broken, int]
    aside: Mapping[int, Broken] = field(default_factory=dict)
    whole: Broken | None = None
    says: str = ""
    warned: tuple[str, ...] = ()
    received: int = HOURS


def rows_aside(rule: str, column: str, *numbers: int, says: str, received: int = HOURS) -> Defect:
    """Return what comes of a rule that single rows break: they wait, the others load."""
    broken = (rule, column)
    return Defect({broken: len(numbers)}, dict.fromkeys(numbers, broken), says=says, received=received)


def blocked(rule: str, column: str, count: int, says: str, received: int = HOURS) -> Defect:
    """Return what comes of a rule that the batch breaks as a whole: no row loads."""
    return Defect({(rule, column): count}, whole=(rule, column), says=says, received=received)


def warning(rule: str, column: str, count: int, says: str) -> Defect:
    """Return what comes of a rule that only warns: every row loads."""
    return Defect({(rule, column): count}, says=says, warned=(rule,))


DEFECTS = {
    # What publishers do.
    "minus_200_is_a_value": rows_aside("range", CO, 10, 11, says="co_mg_m3 = -200.0: expected 0 to 50 mg/m3"),
    "minus_200_is_missing": blocked("completeness", BENZENE, 12, "12 of 48 rows (25.0%) break it"),
    "not_established_ne": rows_aside("type", CO, 20, says="co_mg_m3 = 'N/E' cannot be read"),
    "micrograms_for_milligrams": Defect(
        {("range", CO): 12, ("rejected", "*"): 12},
        dict.fromkeys(range(36, 48), ("range", CO)),
        ("rejected", "*"),
        "12 of 48 rows quarantined (25.0%), expected at most 5%",
    ),
    "frozen_sensor": rows_aside("stands_still", O3, 17, 18, says="o3_sensor = 1187 for the 6th time"),
    # The last hour of the day has become the first of the next window.
    "hour_shifted_by_dst": blocked(
        "each_hour", "*", 1, "1 of 48 expected times have no row: 2024-03-31 02:00", received=47
    ),
    "hour_duplicated": rows_aside("unique", "valid_at", 20, 21, says="one row for each valid_at", received=49),
    "hour_missing": blocked("each_hour", "*", 1, "have no row: 2024-03-30 20:00", received=47),
    "dates_in_the_future": rows_aside(
        "future", "valid_at", 48, 49, says="2024-04-01 06:00 UTC lies after the fetch", received=50
    ),
    "mojibake": rows_aside("encoding", REMARK, 12, 13, says="remark = 'RevisiÃ³n de rutina': expected readable"),
    "column_renamed": Defect(
        {}, whole=(UNREADABLE, "*"), says="the header 'CO(GT)' is missing, was it renamed to 'CO_GT'?"
    ),
    "column_dropped": Defect(
        {}, whole=(UNREADABLE, "*"), says="the header 'RH' is missing among the 13 headers of the file"
    ),
    "column_added": warning("schema", "*", 0, "columns came that the contract does not name: SO2"),
    "columns_reordered": Defect({}),
    # What cannot be read is no value either, so the column is not complete and not fresh.
    "column_retyped": Defect(
        {("type", CO): 48, ("rejected", "*"): 48, ("completeness", CO): 48, ("fresh", CO): 48, ("clustered", "*"): 0},
        dict.fromkeys(ALL, ("type", CO)),
        ("completeness", CO),
        "co_mg_m3 = '1.3 mg/m3' cannot be read",
        ("clustered",),
    ),
    "no_rows": Defect(
        {("each_hour", "*"): 48, ("empty", "*"): 0},
        whole=("each_hour", "*"),
        says="48 of 48 expected times have no row: 2024-03-30 00:00 to 2024-03-31 23:00 (48)",
        warned=("empty",),
        received=0,
    ),
    # The other kinds of rules.
    "value_beyond_range": rows_aside("range", AIR, 20, says="temperature_deg_c = 61.0: expected -30 to 55 degC"),
    "value_not_allowed": rows_aside("allowed", "status_code", 20, says="'broken': expected one of ok, service"),
    "digits_too_many": rows_aside("decimals", CO, 20, says="1.234: expected at most 1 digits after the point"),
    "text_too_long": rows_aside("length", REMARK, 20, says="expected 1 to 40 letters"),
    "tax_id_in_a_remark": rows_aside("personal", REMARK, 20, says="remark holds personal data"),
    "reference_to_nothing": rows_aside("known_station", STATION, 20, says="'MX999' is not in core.stations"),
    "jump_too_large": rows_aside("jump", AIR, 20, 21, says="temperature_deg_c = 24.3 after 14.9"),
    "mean_moved": blocked("humidity_mean", HUMIDITY, 48, "mean 80.0"),
    "spread_collapsed": warning("humidity_spread", HUMIDITY, 48, "sd 0.14"),
    "row_repeated": rows_aside("repeated", "*", 33, says="the very same row came before", received=49),
    "value_stale": blocked("fresh", CO, 1, "the newest value is of 2024-03-31 18:00 UTC, 6:00:00 before the end"),
    "times_run_backwards": rows_aside("time_runs_on", "*", 21, says="2024-03-30 20:00 UTC comes after a later time"),
    "sample_code_twice": rows_aside("unique", SAMPLE, 8, 20, says="sample_code = 'S0009' is not alone"),
    "sample_code_misshapen": rows_aside("format", SAMPLE, 20, says="'s-21': expected text like S[0-9]{4}"),
    "station_left_out": rows_aside("required", STATION, 20, says="expected a value of station_code"),
    "dew_point_above_temperature": rows_aside(
        "dew_below_air", "*", 20, says="dew_point_deg_c = 25.0, temperature_deg_c = 14.3: expected dew_"
    ),
    "fine_dust_beyond_dust": warning("fine_is_part_of_dust", "*", 1, "1 of 48 rows (2.1%) break it"),
    "second_analyser_disagrees": blocked("as_the_second", CO, 10, "10 of 48 rows (20.8%) further apart"),
    "sum_in_the_last_row": rows_aside("time", "valid_at", 48, says="the row's time cannot be read", received=49),
    "sensor_replaced": warning("change", O3, 0, "median of o3_sensor is 3"),
}
NEED_A_HISTORY = {"sensor_replaced"}
KINDS = {get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(Check)[0])}
# What an answer lacks, or has beside its window, is no defect of a file: test_deletions.py, test_outside.py.
RULES_OF_FILES = (KINDS | set(RULES)) - {"deleted", "outside", "dates"}


def file(name: str) -> bytes:
    return (FOLDER / f"{name}.csv").read_bytes()


def lines(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(file(name).decode().splitlines()))


class Air:
    """The station's files arrive in the lake, and the tasks of ingest take them from there."""

    def __init__(self, spec: Pipeline, warehouse: Any) -> None:
        self.spec, self.sql, self.engine, self.lake = spec, warehouse.sql, warehouse.engine, warehouse.lake

    def sends(self, content: bytes, window: Window = WINDOW) -> None:
        at = window.end + timedelta(minutes=30)
        payload = Payload(Spool.of([content]), "text/csv", {}, 200, {}, at, is_simulated=False)
        stored = self.lake.put(payload)
        self.lake.put_manifest(manifest(payload, stored, "clean_air", "station", window, uuid4().hex, 0, 1))

    def load(self, window: Window = WINDOW) -> dict[str, Any]:
        ref, now = RunRef("ingest_clean_air", uuid4().hex), datetime(2024, 6, 1, tzinfo=UTC)
        run = Run(self.spec, ref, window.to_dict() | {"from_lake": True}, None, [], now, self.engine, self.lake)
        extracted = json.loads(json.dumps(extract(run, "station", lambda: pytest.fail("nobody is to be asked"))))
        return ingest.load(run, [json.loads(json.dumps(ingest.check(run, extracted)))])[0]

    def remembers(self, windows: int) -> None:
        """Load clean hours of as many windows before."""
        length = WINDOW.end - WINDOW.start
        for number in range(1, windows + 1):
            window = Window(WINDOW.start - number * length, WINDOW.end - number * length)
            content = file("clean").decode()
            for day in range(length.days):
                old, new = WINDOW.start + timedelta(days=day), window.start + timedelta(days=day)
                content = content.replace(f"{old:%Y-%m-%d}T", f"{new:%Y-%m-%d}T")
            self.sends(content.encode(), window)
            self.load(window)

    def results(self, what: str) -> list[tuple[Any, ...]]:
        return self.sql(f"select {what} from ops.quality_result where window_start_at = %s", WINDOW.start)

    def accepted(self) -> list[tuple[Any, ...]]:
        """Return time and sample of the rows in ``core``; none where the table is not even there."""
        if not self.sql("select from pg_tables where (schemaname, tablename) = ('core', 'clean_air')"):
            return []
        return self.sql(
            "select valid_at, sample_code from core.clean_air where valid_at >= %s order by 2", WINDOW.start
        )


@pytest.fixture(scope="session")
def contract() -> Pipeline:
    return load(FOLDER / "clean_air.yaml")


@pytest.fixture
def air(warehouse, contract: Pipeline) -> Air:
    warehouse.sql("create table core.stations (station_code text primary key)")
    warehouse.sql("insert into core.stations values ('MX001'), ('MX002')")
    return Air(contract, warehouse)


@pytest.fixture
def outcome(air: Air) -> Callable[[str], str]:
    """Give a function that sends a file through the tasks, and returns what blocked it: nothing mostly."""

    def run(name: str) -> str:
        if name in NEED_A_HISTORY:
            air.remembers(4)
        air.sends(file(name))
        try:
            air.load()
        except ContractBroken as error:
            return str(error)
        return ""

    return run


def test_the_clean_file_passes_every_rule_of_its_contract(air, contract, outcome) -> None:
    assert outcome("clean") == ""
    every = {(rule.rule, rule.column) for rule in rules(contract.sources["station"])} | {("rejected", "*")}
    assert set(air.results("rule, column_name")) == every
    assert air.results("bool_and(is_passed)") == [(True,)]
    assert air.sql("select count(*) from ops.quarantine") == [(0,)]
    assert [sample for _, sample in air.accepted()] == [line["sample"] for line in lines("clean")]
    assert air.sql("select received_count, inserted_count, quarantined_count from ops.run") == [(HOURS, HOURS, 0)]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_breaks_its_own_rule_alone_quarantines_its_own_rows_and_loses_none(air, outcome, name: str) -> None:
    defect = DEFECTS[name]
    said = outcome(name)
    assert bool(said) == bool(defect.whole)
    found = air.results("rule, column_name, is_passed, unexpected_count, severity")
    broken = {(rule, column): (count, severity) for rule, column, holds, count, severity in found if not holds}
    assert {place: count for place, (count, _) in broken.items()} == defect.broken
    assert {rule for (rule, _), (_, severity) in broken.items() if severity == "warn"} == set(defect.warned)
    entries = air.sql("select row_number, rule, column_name, status, reason from ops.quarantine")
    assert {number: (rule, column) for number, rule, column, *_ in entries if number is not None} == defect.aside
    assert [(rule, column) for number, rule, column, *_ in entries if number is None] == [defect.whole][: bool(said)]
    assert {status for *_, status, _ in entries} <= {"open"}
    told = [said, *(reason for *_, reason in entries), *(observed for (observed,) in air.results("observed"))]
    assert any(defect.says in text for text in told), told
    every_row_is_loaded_or_waits(air, name, defect)


def every_row_is_loaded_or_waits(air: Air, name: str, defect: Defect) -> None:
    accepted = air.accepted()
    [(waiting,)] = air.sql("select coalesce(sum(row_count), 0)::int from ops.quarantine")
    if defect.whole == (UNREADABLE, "*"):  # nobody knows which of its rows are rows: the bytes wait
        assert (waiting, accepted) == (0, [])
        return
    assert len(accepted) + waiting == defect.received
    sent = lines(name)[: defect.received]
    loads = [] if defect.whole else [line["sample"] for at, line in enumerate(sent) if at not in defect.aside]
    assert sorted(sample for _, sample in accepted) == sorted(loads)
    raw = air.sql("select row_number, raw_row->>'sample_code' from ops.quarantine where row_number is not null")
    assert {number: sample or "" for number, sample in raw} == {at: sent[at]["sample"] for at in defect.aside}
    runs = "select received_count, inserted_count, quarantined_count from ops.run where window_start_at = %s"
    assert air.sql(runs, WINDOW.start) == ([] if defect.whole else [(defect.received, len(accepted), waiting)])


def test_what_the_contract_calls_missing_is_missing_and_nothing_else_is(air, outcome) -> None:
    outcome("not_established_ne")
    nulls = "select null_count, (facts->>'unreadable_count')::int from ops.column_profile where column_name = %s"
    assert air.sql(nulls, BENZENE) == [(2, 0)]
    assert air.sql(nulls, CO) == [(0, 1)]
    assert air.sql(f"select count(*) from core.clean_air where {BENZENE} is null") == [(2,)]


def test_reordered_columns_are_the_same_rows(air, outcome) -> None:
    values = "select to_jsonb(t) - 'recorded_at' - 'payload_id' from core.clean_air t order by valid_at"
    outcome("columns_reordered")
    reordered = air.sql(values)
    outcome("clean")
    assert air.sql(values) == reordered
    assert air.sql("select sum(inserted_count)::int, sum(revised_count)::int from ops.run") == [(HOURS, 0)]


@pytest.mark.parametrize("name", ["column_renamed", "column_dropped"])
def test_who_reads_of_a_lost_column_is_told_where_and_the_way_back(outcome, name: str) -> None:
    said = outcome(name)
    assert said.startswith("pipeline clean_air, source station, window 2024-03-30..2024-04-01: the header ")
    assert "ask the publisher, or describe the new file in pipeline.yaml" in said
    assert "ciclo quarantine retry clean_air --start 2024-03-30 --end 2024-04-01" in said


def test_a_tax_id_is_not_repeated_where_it_is_told_of(air, outcome) -> None:
    outcome("tax_id_in_a_remark")
    [(row, reason)] = air.sql("select raw_row, reason from ops.quarantine")
    assert row[REMARK] == "***"
    assert "ZZZ010101ABA" not in json.dumps(row) + reason
    assert "ZZZ010101ABA" not in json.dumps(air.results("observed"))


def uncovered(defects: Mapping[str, Defect], spec: Pipeline) -> set[str]:
    """Return the kinds of rules, and the rules of columns and of every contract, that no defect breaks."""
    kinds = {check.name: check.kind for check in spec.sources["station"].checks}
    covered = {kinds.get(rule, rule) for defect in defects.values() for rule, _ in defect.broken}
    return RULES_OF_FILES - covered


def without_a_file(names: Iterable[str]) -> set[str]:
    """Return what is only in the table, or only in the folder."""
    return {path.stem for path in FOLDER.glob("*.csv")} ^ {"clean", *names}


def test_every_kind_of_rule_has_a_defect_that_breaks_it(contract: Pipeline) -> None:
    assert uncovered(DEFECTS, contract) == set()
    assert without_a_file(DEFECTS) == set()


@pytest.mark.parametrize("kind", sorted(RULES_OF_FILES))
def test_a_kind_of_rule_without_a_defect_is_told_of(contract: Pipeline, kind: str) -> None:
    names = {check.name for check in contract.sources["station"].checks if check.kind == kind} or {kind}
    fewer = {name: own for name, own in DEFECTS.items() if not names & {rule for rule, _ in own.broken}}
    assert len(fewer) < len(DEFECTS)
    assert kind in uncovered(fewer, contract)
    assert without_a_file(fewer) == set(DEFECTS) - set(fewer)
