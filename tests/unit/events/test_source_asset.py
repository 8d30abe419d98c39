"""What a pipeline declares becomes an asset with watchers; Airflow can store them and nothing in them is secret."""

import json

from airflow.sdk import AssetOrTimeSchedule, CronDataIntervalTimetable

from include.events.notify import PostgresNotifyTrigger
from include.events.source_asset import place_of, source_asset, unheard
from include.spec.load import load_all
from include.spec.model import Pipeline
from include.spec.parts import Events
from include.steps.wiring import clock_or_events


def with_events(**events: object) -> Pipeline:
    declared = Events.model_validate(events) if events else None
    return load_all()["usdmxn"].model_copy(update={"events": declared})


def test_the_shipped_pipeline_listens_to_the_desk() -> None:
    asset = source_asset(load_all()["usdmxn"])
    assert (asset.name, asset.uri) == ("source_usdmxn", "x-ciclo://source/usdmxn")
    [watcher] = asset.watchers
    assert watcher.name == "notify_desk_operation"
    assert watcher.trigger.serialize()[1] == {
        "pipeline": "usdmxn",
        "connection": "internal_db",
        "channel": "desk_operation",
        "table": "desk.operation",
        "time_column": "executed_at",
        "quiet_seconds": 2,
    }


def test_a_webhook_alone_needs_no_watcher() -> None:
    assert source_asset(with_events(webhook=True)).watchers == []


def test_events_come_beside_the_clock_whose_runs_keep_their_interval() -> None:
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable
    from airflow.timetables.base import TimeRestriction
    from pendulum import datetime

    both = clock_or_events(with_events(webhook=True))
    assert isinstance(both, AssetOrTimeSchedule)
    stored = decode_timetable(json.loads(json.dumps(encode_timetable(both))))
    restriction = TimeRestriction(earliest=datetime(2026, 3, 2), latest=None, catchup=True)
    first = stored.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first.data_interval.start == datetime(2026, 3, 2, 19, 30)  # 13:30 in Mexico City
    assert first.data_interval.end == first.run_after == datetime(2026, 3, 3, 19, 30)


def test_without_events_there_is_only_the_clock() -> None:
    assert isinstance(clock_or_events(with_events()), CronDataIntervalTimetable)


def test_what_airflow_stores_makes_the_same_trigger_again() -> None:
    from airflow._shared.module_loading import import_string
    from airflow.models.trigger import Trigger
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.encoders import encode_trigger
    from airflow.triggers.base import BaseEventTrigger

    [watcher] = source_asset(load_all()["usdmxn"]).watchers
    encoded = encode_trigger(watcher.trigger)
    stored = Trigger(classpath=encoded["classpath"], kwargs=encoded["kwargs"])
    made = import_string(stored.classpath)(**{k: smart_decode_trigger_kwargs(v) for k, v in stored.kwargs.items()})
    assert isinstance(made, PostgresNotifyTrigger)
    assert made.serialize() == watcher.trigger.serialize()
    # The DAG processor compares these at every parse: were they to differ, it would start the trigger anew each time.
    assert BaseEventTrigger.hash(stored.classpath, stored.kwargs) == BaseEventTrigger.hash(**encoded)


def test_a_queue_whose_packages_are_missing_is_told_and_the_pipeline_runs_without_it() -> None:
    pipeline = with_events(queue={"scheme": "kafka", "connection": "kafka_default", "topics": ["desk.operation"]})
    assert source_asset(pipeline).watchers == []
    [told] = unheard([pipeline, *load_all().values()])
    assert "pipeline.yaml:" in told
    assert "apache-airflow-providers-common-messaging and apache-airflow-providers-apache-kafka" in told
    assert "docs/events.md" in told


def test_without_a_queue_no_package_is_missed() -> None:
    assert unheard(load_all().values()) == []


def test_of_a_message_only_its_place_is_kept() -> None:
    class Message:
        def topic(self) -> str:
            return "desk.operation"

        def partition(self) -> int:
            return 3

        def offset(self) -> int:
            return 41

        def value(self) -> bytes:
            raise AssertionError("what a message says may be personal")

    assert place_of(Message()) == "desk.operation 3 41"
