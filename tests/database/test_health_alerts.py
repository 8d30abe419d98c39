"""A change of health is told once, by a webhook that is really asked; that it is over only where it was told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.alerts.deliver import deliver
from include.alerts.incidents import COOLDOWN, REPEATS
from include.alerts.record import raise_alert
from include.alerts.watch import watch
from include.settings import settings
from include.spec.load import load_each
from include.spec.parts import Alerts
from include.steps.alert import watch_health
from include.warehouse.batch import RunRef
from tests.database.test_deliver import CHAT, Chat, chat  # noqa: F401 - the fixture

FINE = {"word": "fine", "grade": "healthy", "why": "", "todo": ""}
POOR = {"word": "gaps", "grade": "warning", "why": "no rows came", "todo": "ask the source"}
BAD = {"word": "blocked", "grade": "degraded", "why": "40 of 100 rows", "todo": "ciclo quarantine list readings"}
LOOK = timedelta(minutes=5)


class Looks:
    """Looks of the DAG alert, five minutes apart, at one aspect; what they tell is delivered at once."""

    def __init__(self, warehouse, delivers: bool = True) -> None:
        self.warehouse, self.delivers = warehouse, delivers
        self.now = datetime.now(UTC)
        alerts = Alerts.model_validate({"to": [CHAT]})
        warehouse.spec = warehouse.spec.model_copy(update={"alerts": alerts})

    def __call__(self, *found: dict[str, str], aspect: str = "freshness") -> list[str]:
        acts = []
        for each in found:
            with self.warehouse.engine.begin() as connection:
                acts.append(watch(connection, self.warehouse.spec, {aspect: each}, self.now)[aspect])
            if self.delivers:
                deliver(self.warehouse.engine, {"readings": self.warehouse.spec})
            self.now += LOOK
        return acts


@pytest.fixture
def looks(warehouse) -> Looks:
    return Looks(warehouse)


def told(chat: Chat) -> list[str]:  # noqa: F811
    return [body["message"] for _, body, _ in chat.posts]


def test_what_lasts_is_told_once_and_so_is_its_end(looks: Looks, chat: Chat) -> None:  # noqa: F811
    assert looks(FINE, BAD, BAD, BAD, FINE, FINE, FINE) == [
        *("nothing", "open", "note", "note", "note", "recover", "nothing")
    ]
    [bad, over] = told(chat)
    assert bad == "freshness is degraded: blocked, 40 of 100 rows. To do: ciclo quarantine list readings"
    assert over == "freshness is healthy again, after 15 minutes of blocked"
    assert [body["severity"] for _, body, _ in chat.posts] == ["critical", "critical"]
    assert [body["runbook"].rpartition("/ciclo/")[2] for _, body, _ in chat.posts] == ["runbooks/quality"] * 2


def test_what_turns_worse_is_told_again_and_what_turns_better_is_not(looks: Looks, chat: Chat) -> None:  # noqa: F811
    assert looks(POOR, BAD, POOR, BAD) == ["open", "tell", "note", "note"]
    assert [text.partition(":")[0] for text in told(chat)] == ["freshness is warning", "freshness is degraded"]


def test_what_comes_back_soon_is_the_same_incident_and_later_it_is_another(looks: Looks, chat: Chat) -> None:  # noqa: F811
    looks(BAD, FINE, FINE)
    assert looks(BAD, FINE, FINE) == ["reopen", "note", "recover"]
    looks.now += COOLDOWN
    assert looks(BAD) == ["open"]
    assert looks.warehouse.one("select count(*) from ops.incident") == 2
    assert len(told(chat)) == 3  # bad, over, bad: what came back soon was told neither time


def test_what_flaps_is_told_once_and_how_it_stays_is_told(looks: Looks, chat: Chat) -> None:  # noqa: F811
    looks(*[BAD, BAD, FINE, FINE] * 9)
    assert [text.partition(",")[0] for text in told(chat)] == [
        "freshness is degraded: blocked",
        "freshness is healthy again",
    ]
    looks(*[BAD] * 30)
    assert [text.partition(",")[0] for text in told(chat)][2:] == ["freshness is degraded: blocked"], (
        "after half an hour"
    )
    looks(FINE, FINE, FINE)
    assert [text.partition(",")[0] for text in told(chat)][3:] == ["freshness is healthy again"]


def test_what_flickers_is_not_over(looks: Looks, chat: Chat) -> None:  # noqa: F811
    assert looks(BAD, FINE, BAD, FINE, BAD) == ["open", "note", "note", "note", "note"]
    assert len(told(chat)) == 1


def test_what_lasts_for_a_day_is_told_again(looks: Looks, chat: Chat) -> None:  # noqa: F811
    looks(BAD)
    looks.now += REPEATS
    assert looks(BAD, BAD) == ["tell", "note"]
    assert len(told(chat)) == 2


def test_the_end_of_what_nobody_was_told_is_not_told_and_what_arrives_late_says_that_it_is_over(
    warehouse,
    chat: Chat,  # noqa: F811
) -> None:
    looks = Looks(warehouse, delivers=False)
    looks(BAD, FINE, FINE)
    assert warehouse.sql("select status from ops.alert") == [("pending",)]
    deliver(warehouse.engine, {"readings": warehouse.spec})
    [(_, body, _)] = chat.posts
    assert "(over since " in body["text"]


def test_what_a_task_has_told_is_not_told_twice(looks: Looks, chat: Chat) -> None:  # noqa: F811
    tell(looks, "failure", "ingest_readings meter.check: 40 of 100 rows")
    assert looks(BAD) == ["open"]
    assert told(chat) == ["ingest_readings meter.check: 40 of 100 rows"]
    looks(FINE, FINE)
    assert told(chat)[1:] == ["freshness is healthy again, after 5 minutes of blocked"]


@pytest.mark.parametrize(
    ("kind", "message", "hears"),
    [("failure", "train_readings fit: no memory", True), ("quality", "40 of 100 rows", False)],
)
def test_a_failure_of_another_dag_and_what_reached_nobody_do_not_count_as_told(
    looks: Looks,
    chat: Chat,  # noqa: F811
    kind: str,
    message: str,
    hears: bool,
) -> None:
    tell(looks, kind, message)
    if not hears:
        looks.warehouse.sql("update ops.alert set status = 'unaddressed' returning 1")
    assert looks(BAD) == ["open"]
    assert told(chat)[-1].startswith("freshness is degraded: blocked")


def test_that_it_is_over_is_headed_so(looks: Looks, chat: Chat) -> None:  # noqa: F811
    looks(BAD, FINE, FINE)
    assert [body["text"].partition(" ")[0] for _, body, _ in chat.posts] == ["CRITICAL", "RECOVERED"]


def test_a_task_that_fails_alike_while_the_incident_lasts_is_folded_into_it(looks: Looks, chat: Chat) -> None:  # noqa: F811
    tell(looks, "failure", "ingest_readings meter.check: 40 of 100 rows")
    looks(BAD)
    tell(looks, "failure", "ingest_readings meter.check: 50 of 100 rows", run_id="second")
    tell(looks, "failure", "train_readings fit: no memory", run_id="third")
    looks(BAD)
    assert [text.partition(" ")[0] for text in told(chat)] == ["ingest_readings", "train_readings"]
    assert looks.warehouse.sql("select status, count(*) from ops.alert group by 1 order by 1") == [
        ("delivered", 2),
        ("folded", 1),
    ]


def test_what_is_silenced_is_told_once_the_silence_is_over(looks: Looks, chat: Chat) -> None:  # noqa: F811
    silence = (
        "insert into ops.silence (pipeline, aspect, reason, made_by, until_at)"
        " values ('readings', %s, 'moving house', 'desk', now() + interval '1 hour')"
    )
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql(silence, ("freshness",))
    assert looks(BAD, BAD, BAD) == ["open", "tell", "tell"]
    assert told(chat) == []
    assert looks.warehouse.sql("select status from ops.alert") == [("silenced",)], "once on record, however long"
    looks(BAD, aspect="run")
    assert len(told(chat)) == 1  # another aspect is heard
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql("update ops.silence set until_at = clock_timestamp()")
    assert looks(BAD) == ["tell"]
    assert len(told(chat)) == 2


def test_what_is_over_during_a_silence_is_told_after_it_where_people_had_heard_of_it(looks: Looks, chat: Chat) -> None:  # noqa: F811
    looks(BAD)
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.silence (pipeline, reason, made_by, until_at)"
            " values ('readings', 'moving house', 'desk', now() + interval '1 hour')"
        )
    assert looks(BAD, FINE, FINE, FINE) == ["note", "note", "recover", "recover"]
    assert len(told(chat)) == 1
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql("update ops.silence set until_at = clock_timestamp()")
    assert looks(FINE, FINE) == ["recover", "nothing"]
    assert told(chat)[1:] == ["freshness is healthy again, after 10 minutes of blocked"]


@pytest.mark.parametrize(("silenced", "status"), [("freshness", "delivered"), ("run", "delivered"), ("", "silenced")])
def test_a_silence_of_one_aspect_hides_no_failure_that_may_be_of_another(
    looks: Looks,
    chat: Chat,  # noqa: F811
    silenced: str,
    status: str,
) -> None:
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ops.silence (pipeline, aspect, reason, made_by, until_at)"
            " values ('readings', %s, 'moving house', 'desk', now() + interval '1 hour')",
            (silenced,),
        )
    tell(looks, "failure", "train_readings fit: no memory")
    looks(FINE, aspect="run")
    assert looks.warehouse.sql("select status from ops.alert") == [(status,)]


def test_what_is_overdue_longer_than_its_silence_is_told_once(looks: Looks, chat: Chat) -> None:  # noqa: F811
    silence = "insert into ops.silence (pipeline, reason, made_by, until_at) values ('readings', 'x', 'desk', %s)"
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql(silence, (datetime.now(UTC) + timedelta(hours=1),))
    tell(looks, "overdue", "nothing was loaded", run_id="overdue")
    looks(BAD)
    with looks.warehouse.engine.begin() as connection:
        connection.exec_driver_sql("update ops.silence set until_at = clock_timestamp()")
    tell(looks, "overdue", "nothing was loaded", run_id="overdue")
    looks(BAD, BAD)
    assert told(chat) == ["nothing was loaded"]


class File:
    """The pipeline.yaml of readings, at which the DAG alert looks; what is told is delivered at once."""

    def __init__(self, path: Path, looks: Looks) -> None:
        self.path, self.looks = path, looks
        self.fine = Path(__file__).with_name("readings.yaml").read_text() + f"alerts: {json.dumps({'to': [CHAT]})}\n"

    def __call__(self, *texts: str) -> None:
        engine = self.looks.warehouse.engine
        for text in texts:
            self.path.write_text(text)
            pipelines, broken = load_each()
            faults = {name: lines.splitlines() for name, lines in broken.items()}
            watch_health(engine, pipelines, faults, "http://127.0.0.1:9", self.looks.now)
            deliver(engine, pipelines)
            self.looks.now += LOOK


@pytest.fixture
def file(looks: Looks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[File]:
    path = tmp_path / "pipelines" / "readings" / "pipeline.yaml"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("CICLO_PIPELINES", str(path.parent.parent))
    monkeypatch.setenv("CICLO_PREDICTIONS_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    yield File(path, looks)
    settings.cache_clear()


BROKEN = ("pipeline: readings\n\tx: [", "impact: tier_9\n")  # of neither can be read whom it names


def test_a_file_that_breaks_is_told_once_to_whom_it_named_and_so_is_that_it_is_mended(file: File, chat: Chat) -> None:  # noqa: F811
    file(file.fine, BROKEN[0], BROKEN[0], BROKEN[1], file.fine, file.fine, file.fine)
    bad, over = [body for _, body, _ in chat.posts if body["message"].startswith("run ")]
    assert bad["message"].startswith("run is degraded: broken, ")
    assert bad["message"].endswith(". To do: mend the faults that ciclo validate readings tells (1)")
    assert (bad["pipeline"], bad["severity"]) == ("readings", "critical")
    assert bad["runbook"].endswith("/ciclo/runbooks/broken")
    assert over["message"] == "run is healthy again, after 15 minutes of broken"
    assert not [text for text in told(chat) if "the warehouse was not read" in text], "of the rest nothing is known"


def test_a_file_that_breaks_while_its_runs_fail_is_told_all_the_same_and_flickers_unheard(
    file: File,
    chat: Chat,  # noqa: F811
) -> None:
    file(file.fine)
    tell(file.looks, "failure", "ingest_readings meter.check: 40 of 100 rows")
    file(file.fine, *BROKEN, file.fine, *BROKEN)
    assert [text.partition(",")[0] for text in told(chat) if "ingest" in text or text.startswith("run ")] == [
        "ingest_readings meter.check: 40 of 100 rows",
        "run is degraded: broken",
    ]


def test_a_file_that_never_could_be_read_is_told_to_whoever_hears_of_others(file: File, chat: Chat) -> None:  # noqa: F811
    other = file.path.parent.with_name("other") / "pipeline.yaml"
    other.parent.mkdir()
    other.write_text("pipeline: other")
    file(file.fine)
    assert ("other", "run is degraded: broken") in {
        (body["pipeline"], body["message"].partition(",")[0]) for _, body, _ in chat.posts
    }


def test_alerts_of_a_pipeline_whose_file_is_broken_go_where_it_said_last(file: File, chat: Chat) -> None:  # noqa: F811
    file(file.fine)
    tell(file.looks, "failure", "ingest_readings meter.check: 40 of 100 rows")
    assert deliver(file.looks.warehouse.engine, {}) == 1


def tell(looks: Looks, kind: str, message: str, run_id: str = "first") -> None:
    with looks.warehouse.engine.begin() as connection:
        raise_alert(connection, looks.warehouse.spec, kind, message, RunRef("ingest_readings", run_id))
