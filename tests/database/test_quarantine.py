"""What is quarantined waits in ops.quarantine, and comes back by a retry: nothing is lost, nothing counted twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from include.errors import ConfigError, ContractBroken, NothingToDo
from include.lake.manifest import manifest
from include.quarantine.entries import Wanted, find, windows
from include.quarantine.override import overridden_batches, overridden_rows, override
from include.sources.payload import Payload, Spool
from include.steps import ingest, quarantine
from include.steps.extract import extract
from include.steps.run import Run, loaded_window
from include.warehouse.batch import Batch, RunRef
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
FEBRUARY = Window.parse("2025-02-01", "2025-03-01")
HOURS = 30
STATES = "select status, count(*) from ops.quarantine group by status order by status"
LEVELS = "select count(*), max(level_m) from core.readings"


def csv(bad: dict[int, str] | None = None, first: datetime = JANUARY.start, header: str = "level") -> str:
    """Return hourly readings as the meter's file; `bad` gives some hours another level."""
    lines = [f"at,{header},pulses,note,open,read,sealed"]
    for hour in range(HOURS):
        at = (first + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%S")
        lines.append(f"{at},{(bad or {}).get(hour, '1.5')},{hour},fine,true,2025-01-01T00:00:00,2024-12-31")
    return "\n".join(lines) + "\n"


FEW_BAD = csv({3: "99"})
MANY_BAD = csv(dict.fromkeys(range(10), "99"))


class Station:
    """The meter alone: what it sends arrives in the lake, and the tasks of ingest load it from there."""

    def __init__(self, warehouse: Any) -> None:
        self.warehouse, self.lake, self.fetches = warehouse, warehouse.lake, 0
        self.spec = warehouse.spec.model_copy(update={"sources": {"meter": warehouse.spec.sources["meter"]}})
        self.limit(10.0)

    def limit(self, most: float | None) -> None:
        """Change the contract: the largest level there may be."""
        old = self.spec.sources["meter"]
        columns = old.columns | {"level_m": old.columns["level_m"].model_copy(update={"max": most})}
        self.spec = self.spec.model_copy(update={"sources": {"meter": old.model_copy(update={"columns": columns})}})

    def sends(self, content: str, window: Window = JANUARY) -> None:
        """Let a fetch of a window bring these bytes; each comes later than the one before."""
        self.fetches += 1
        at = datetime(2025, 3, 1, self.fetches, tzinfo=UTC)
        payload = Payload(Spool.of([content.encode()]), "text/csv", {}, 200, {}, at, is_simulated=False)
        stored = self.lake.put(payload)
        self.lake.put_manifest(manifest(payload, stored, "readings", "meter", window, uuid4().hex, 0, 1))

    def run(self, window: Window = JANUARY, **params: Any) -> Run:
        given = window.to_dict() | {"from_lake": True} | params
        now = datetime(2025, 6, 1, tzinfo=UTC)
        ref = RunRef("ingest_readings", uuid4().hex)
        return Run(self.spec, ref, given, None, [], now, self.warehouse.engine, self.lake)

    def load(self, window: Window = JANUARY) -> dict[str, Any]:
        run = self.run(window)
        extracted = json.loads(json.dumps(extract(run, "meter", lambda: pytest.fail("nobody is to be asked"))))
        checked = json.loads(json.dumps(ingest.check(run, extracted)))
        return ingest.load(run, [checked])[0]

    def retry(self) -> None:
        """Load each waiting window again, as the DAG and the command do."""
        with self.warehouse.engine.connect() as connection:
            found = windows(connection, Wanted("readings"))
        for _, conf in found:
            self.load(Window.from_dict(conf))

    def entries(self, status: str = "all") -> list[Any]:
        with self.warehouse.engine.connect() as connection:
            return find(connection, Wanted("readings", status=status))

    def override(self, *ids: int, reason: str = "a real\nflood ") -> None:
        with self.warehouse.engine.begin() as connection:
            override(connection, [self.spec], ids, "ana", reason)


@pytest.fixture
def station(warehouse) -> Station:
    return Station(warehouse)


def test_a_quarantined_row_waits_with_its_time_and_is_released_once_the_contract_is_mended(station, warehouse) -> None:
    station.sends(FEW_BAD)
    assert station.load()["quarantined"] == 1
    [entry] = station.entries()
    assert (entry.status, entry.rule, entry.row_count, entry.is_waiting) == ("open", "range", 1, True)
    assert entry.valid_at == datetime(2025, 1, 1, 3, tzinfo=UTC)
    station.limit(100.0)
    station.retry()
    [entry] = station.entries()
    assert (entry.status, entry.is_waiting) == ("released", False)
    assert entry.loaded_at is not None
    assert warehouse.sql(LEVELS) == [(HOURS, 99.0)]


def test_a_retry_without_a_fix_quarantines_the_same_row_and_changes_nothing(station, warehouse) -> None:
    station.sends(FEW_BAD)
    station.load()
    before = warehouse.state()
    station.retry()
    assert warehouse.state() == before


def test_a_blocked_batch_is_there_as_a_whole_and_every_row_is_counted_once(station, warehouse) -> None:
    station.sends(MANY_BAD)
    for _ in range(2):
        with pytest.raises(ContractBroken, match="ciclo quarantine retry readings --start 2025-01-01 --end 2025-02-01"):
            station.load()
        assert warehouse.one("select sum(row_count) from ops.quarantine where status = 'open'") == HOURS
    [whole] = [entry for entry in station.entries() if entry.is_batch]
    assert (whole.rule, whole.column_name, whole.row_count, whole.raw_row) == ("rejected", "*", 20, None)
    assert "10 of 30 rows quarantined" in whole.reason
    assert warehouse.sql("select tablename from pg_tables where schemaname = 'core'") == []


def test_the_message_of_a_blocked_batch_says_what_broke_where_and_how_to_bring_it_back(station) -> None:
    station.sends(MANY_BAD)
    with pytest.raises(ContractBroken) as caught:
        station.load()
    lines = str(caught.value).splitlines()
    assert lines[1] == "Broken: rejected: 10 of 30 rows quarantined (33.3%), expected at most 5%"
    assert lines[2].startswith("Quarantined by: range of level_m: 10 of 30 rows (33.3%) break it, expected ")
    assert [line for line in lines if line.startswith("Example: level_m = 99.0")] == lines[4:5], "once"
    assert "readings.yaml:" in lines[5]
    assert "airflow dags trigger quarantine_readings" in lines[7]


def test_a_blocked_window_is_not_monitored_and_after_the_fix_a_retry_loads_all_of_it(station, warehouse) -> None:
    station.sends(MANY_BAD)
    with pytest.raises(ContractBroken):
        station.load()
    with pytest.raises(NothingToDo, match="nothing is loaded yet"):
        loaded_window(station.run())
    station.limit(100.0)
    station.retry()
    assert warehouse.sql(LEVELS) == [(HOURS, 99.0)]
    assert warehouse.sql(STATES) == [("released", 11)]
    assert not any(entry.is_waiting for entry in station.entries())


def test_rows_that_break_no_rule_any_more_are_counted_with_their_batch_while_it_stays_blocked(
    station, warehouse
) -> None:
    station.sends(csv({**dict.fromkeys(range(10), "99"), 20: "50"}))
    with pytest.raises(ContractBroken):
        station.load()
    station.limit(60.0)
    with pytest.raises(ContractBroken):
        station.load()
    assert warehouse.one("select sum(row_count) from ops.quarantine where status = 'open'") == HOURS
    assert warehouse.sql(STATES) == [("open", 11), ("superseded", 1)]


def test_of_a_good_answer_and_a_blocked_newer_one_the_good_stays_until_the_newer_is_mended(station, warehouse) -> None:
    station.sends(csv())
    station.load()
    station.sends(MANY_BAD)
    for again in (station.load, station.retry):
        with pytest.raises(ContractBroken):
            again()
        assert warehouse.sql(LEVELS) == [(HOURS, 1.5)]
        assert warehouse.sql(STATES) == [("open", 11)]
    station.limit(100.0)
    station.retry()
    assert warehouse.sql(LEVELS) == [(HOURS, 99.0)]
    assert warehouse.sql(STATES) == [("released", 11)]


def test_of_two_answers_for_an_empty_window_the_blocked_newer_one_goes_on_waiting(station, warehouse) -> None:
    station.sends(csv())
    station.sends(MANY_BAD)
    station.load()
    assert warehouse.sql(LEVELS) == [(HOURS, 1.5)]
    assert warehouse.sql(STATES) == [("open", 11)]


@pytest.mark.parametrize("is_as_before", [True, False])
def test_a_newer_good_answer_takes_the_place_of_a_blocked_one(station, warehouse, is_as_before: bool) -> None:
    if is_as_before:  # the very same bytes came once before the bad ones
        station.sends(csv())
        station.load()
    station.sends(MANY_BAD)
    with pytest.raises(ContractBroken):
        station.load()
    assert warehouse.sql(STATES) == [("open", 11)]
    station.sends(csv())
    station.load()
    assert warehouse.sql(STATES) == [("superseded", 11)]
    assert not any(entry.is_waiting for entry in station.entries())


def test_a_newer_answer_about_other_times_leaves_what_waits(station, warehouse) -> None:
    station.sends(FEW_BAD)
    station.load()
    station.sends(csv(first=FEBRUARY.start), FEBRUARY)
    station.load(FEBRUARY)
    assert warehouse.sql(STATES) == [("open", 1)]


def test_a_blocked_batch_waits_until_all_its_times_are_loaded(station, warehouse) -> None:
    station.sends(MANY_BAD)
    with pytest.raises(ContractBroken):
        station.load()
    station.limit(100.0)
    station.load(Window.parse("2025-01-01", "2025-01-02"))
    assert warehouse.one("select count(*) from core.readings") == 24
    [whole] = station.entries("waiting")
    assert whole.is_batch
    station.retry()
    assert station.entries("waiting") == []
    assert warehouse.one("select count(*) from core.readings") == HOURS


def test_a_row_whose_time_cannot_be_read_waits_until_every_time_it_may_be_about_is_loaded(station, warehouse) -> None:
    station.sends(csv().replace("2025-01-01T03:00:00", "3 in the morning"))
    station.load()
    [entry] = station.entries()
    assert (entry.rule, entry.valid_at) == ("time", None)
    station.load(Window.parse("2025-01-01", "2025-01-02"))
    station.retry()
    assert [e.status for e in station.entries()] == ["open"]
    station.sends(csv(), JANUARY)
    station.load()
    assert [e.status for e in station.entries()] == ["superseded"]


def test_a_row_that_breaks_its_contract_again_after_its_release_is_open_again(station) -> None:
    station.sends(FEW_BAD)
    station.load()
    station.limit(100.0)
    station.load()
    assert [e.status for e in station.entries()] == ["released"]
    station.limit(10.0)
    station.load()
    [entry] = station.entries()
    assert (entry.status, entry.loaded_at, entry.is_waiting) == ("open", None, True)


def test_an_answer_that_cannot_be_parsed_is_on_record_with_its_bytes_and_comes_back(station, warehouse) -> None:
    station.sends(csv(header="Level_renamed"))
    for _ in range(2):
        with pytest.raises(ContractBroken, match="once the parser or the contract is mended, ciclo quarantine retry"):
            station.load()
    [entry] = station.entries()
    assert (entry.is_batch, entry.row_count, entry.rule, entry.status) == (True, 0, "readable", "open")
    assert "level" in entry.reason
    old = station.spec.sources["meter"]
    columns = old.columns | {"level_m": old.columns["level_m"].model_copy(update={"from_": "Level_renamed"})}
    changed = old.model_copy(update={"columns": columns})
    station.spec = station.spec.model_copy(update={"sources": {"meter": changed}})
    station.retry()
    assert [e.status for e in station.entries()] == ["released"]
    assert warehouse.one("select count(*) from core.readings") == HOURS


def test_an_overridden_row_loads_with_the_next_retry_and_stays_overridden(station, warehouse) -> None:
    station.sends(FEW_BAD)
    station.load()
    [entry] = station.entries()
    station.override(entry.quarantine_id)
    station.retry()
    [entry] = station.entries()
    assert (entry.status, entry.status_by, entry.status_reason) == ("overridden", "ana", "a real flood")
    assert entry.loaded_at is not None
    assert warehouse.sql(LEVELS) == [(HOURS, 99.0)]
    before = warehouse.state()
    station.load()
    assert warehouse.state() == before, "a window that is loaded again keeps the overridden row"


def test_overriding_a_row_holds_for_the_same_row_in_another_answer(station, warehouse) -> None:
    station.sends(FEW_BAD)
    station.load()
    station.override(station.entries()[0].quarantine_id)
    with warehouse.engine.connect() as connection:
        [row] = overridden_rows(connection, "readings", "meter")
    assert json.loads(row)["level_m"] == "99"
    assert row == json.dumps(json.loads(row), sort_keys=True, ensure_ascii=False)
    station.sends(csv({3: "99", 4: "98"}))
    station.load()
    assert warehouse.sql(LEVELS) == [(HOURS, 99.0)]
    assert sorted((e.status, e.is_waiting) for e in station.entries()) == [("open", True), ("overridden", False)]


def test_an_overridden_batch_loads_what_broke_no_rule_and_says_who_overrode_it(station, warehouse, caplog) -> None:
    station.sends(MANY_BAD)
    with pytest.raises(ContractBroken):
        station.load()
    [whole] = [entry for entry in station.entries() if entry.is_batch]
    station.override(whole.quarantine_id, reason="the flood of January")
    with warehouse.engine.connect() as connection:
        assert list(overridden_batches(connection, "readings", "meter").values()) == ["ana: the flood of January"]
    station.retry()
    assert "is overridden by ana: the flood of January" in caplog.text
    assert warehouse.sql(LEVELS) == [(HOURS - 10, 1.5)]
    assert sorted((e.status, e.is_batch, e.is_waiting) for e in station.entries())[-1] == ("overridden", True, False)
    assert warehouse.sql(STATES) == [("open", 10), ("overridden", 1)]


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        (FEW_BAD, "  ", "overriding needs a reason"),
        (
            csv({3: "high"}),
            "right",
            "cannot be loaded as it is, whoever overrides it: mend the contract or the parser",
        ),
        (csv().replace("2025-01-01T03:00:00", "noon"), "right", "cannot be loaded as it is"),
    ],
)
def test_what_nobody_can_override_is_refused_and_stays_open(station, content: str, reason: str, said: str) -> None:
    station.sends(content)
    station.load()
    with pytest.raises(ConfigError, match=said):
        station.override(station.entries()[0].quarantine_id, reason=reason)
    assert [e.status for e in station.entries()] == ["open"]


def test_overriding_is_all_or_nothing(station) -> None:
    station.sends(FEW_BAD)
    station.load()
    [entry] = station.entries()
    with pytest.raises(ConfigError, match="there is no entry 999 in quarantine"):
        station.override(entry.quarantine_id, 999)
    assert [e.status for e in station.entries()] == ["open"]


def test_what_is_loaded_already_cannot_be_overridden(station) -> None:
    station.sends(FEW_BAD)
    station.load()
    station.limit(100.0)
    station.load()
    with pytest.raises(ConfigError, match="is released already: there is nothing to override"):
        station.override(station.entries()[0].quarantine_id)


def test_a_row_without_its_key_cannot_be_overridden(station, warehouse) -> None:
    station.sends(FEW_BAD)
    station.load()
    warehouse.sql("update ops.quarantine set rule = 'required', column_name = 'level_m'")
    [entry] = station.entries()
    keyed = station.spec.sources["meter"].model_copy(update={"key": ("level_m",)})
    station.spec = station.spec.model_copy(update={"sources": {"meter": keyed}})
    with pytest.raises(ConfigError, match="cannot be loaded as it is"):
        station.override(entry.quarantine_id, reason="right")


@pytest.fixture
def asked(station) -> Callable[..., Run]:
    """Give a run of ``quarantine_readings`` with these params; a window with a quarantined row is loaded."""
    station.sends(FEW_BAD)
    station.load()
    nothing = {"from_lake": None, "start": None, "end": None}
    return lambda **params: station.run(JANUARY, **(nothing | params))


def test_the_list_is_a_table_of_what_waits(asked, caplog) -> None:
    caplog.set_level("INFO")
    quarantine.list_entries(asked())
    assert "2025-01-01..2025-02-01  3    2025-01-01 03:00  open    range" in caplog.text
    quarantine.list_entries(asked(rule="type"))
    assert "Nothing in quarantine." in caplog.text


def test_an_entry_is_shown_with_its_row_a_line_a_column(asked, station, caplog) -> None:
    caplog.set_level("INFO")
    quarantine.show_entries(asked(ids=[station.entries()[0].quarantine_id]))
    assert "level_m       99\n" in caplog.text
    with pytest.raises(ConfigError, match="there is no entry 999 of readings in quarantine"):
        quarantine.show_entries(asked(ids=[999]))
    with pytest.raises(ConfigError, match="this action needs ids"):
        quarantine.show_entries(asked())


def test_the_steps_override_find_the_windows_and_tell_the_outcome(asked, station, caplog) -> None:
    caplog.set_level("INFO")
    quarantine.override_entries(asked(ids=[station.entries()[0].quarantine_id], reason="a real flood"), "ana")
    confs = quarantine.find_windows(asked())
    assert confs == [JANUARY.to_dict() | {"from_lake": True}]
    station.load(Window.from_dict(confs[0]))
    quarantine.tell_outcome(asked(), confs, ["success"])
    assert "readings 2025-01-01..2025-02-01: 1 overridden, 0 still wait" in caplog.text
    with pytest.raises(NothingToDo, match="nothing waits in quarantine"):
        quarantine.find_windows(asked())


def test_a_window_that_could_not_be_loaded_is_told_with_why_its_rows_wait(asked, caplog) -> None:
    caplog.set_level("INFO")
    with pytest.raises(ContractBroken, match=r"1 of 1 windows could not be loaded: 2025-01-01\.\.2025-02-01"):
        quarantine.tell_outcome(asked(), quarantine.find_windows(asked()), ["failed"])
    assert "1 still wait\n  1 wait for range of level_m, e.g. level_m = 99.0" in caplog.text


def test_an_answer_without_a_payload_is_asked_for_again_and_not_looked_for_in_the_lake(station, warehouse) -> None:
    from include.quarantine.record import record_unreadable
    from include.warehouse.engine import transaction

    empty = Batch("meter", covers=(JANUARY.start, JANUARY.end), fetched_at=datetime(2025, 3, 1, tzinfo=UTC))
    for _ in range(2):
        with transaction(warehouse.engine) as connection, connection.cursor() as cursor:
            record_unreadable(cursor, "readings", JANUARY, empty, "no rows came", RunRef("ingest_readings", "first"))
    run = station.run(JANUARY, from_lake=None)
    assert quarantine.find_windows(run) == [JANUARY.to_dict()]
    station.sends(csv())
    station.load()
    assert [e.status for e in station.entries()] == ["superseded"]
