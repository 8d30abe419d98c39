"""From the prediction each column leads back to the fields of a payload, and a catalogue that is away stops nothing."""

import json
from pathlib import Path

import pytest

from include.lineage import columns
from include.lineage.events import FILE, tell
from include.settings import settings
from include.spec.load import load_all
from include.warehouse.batch import RunRef

SPECS = load_all()


@pytest.mark.parametrize("name", SPECS)
def test_every_way_back_from_the_prediction_ends_at_a_payload_or_a_time(name: str) -> None:
    spec = SPECS[name]
    made = {one.dataset: one.columns for one in (*columns.loaded(spec), *columns.trained(spec, 1))}
    made |= {one.dataset: one.columns for one in columns.predicted(spec, 1)}
    ends, open_ends = set(), [("ml.prediction", "predicted")]
    while open_ends:
        dataset, column = open_ends.pop()
        if dataset.startswith("payload.") or column == "valid_at":
            ends.add(dataset)
        else:
            open_ends += made[dataset][column]
    assert {f"payload.{name}.{spec.main}"} <= ends


@pytest.fixture
def file() -> Path:
    path = settings().var.joinpath(*FILE)
    path.unlink(missing_ok=True)
    return path


def test_an_event_has_the_columns_that_each_column_is_made_from(file: Path) -> None:
    tell(RunRef("score_usdmxn", "r1"), "predict", columns.predicted(SPECS["usdmxn"], 3))
    [event] = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (event["eventType"], event["job"]["name"]) == ("COMPLETE", "score_usdmxn.predict")
    assert [one["name"] for one in event["inputs"]] == ["feature.usdmxn", "model.usdmxn.3"]
    [output] = event["outputs"]
    made_from = output["facets"]["columnLineage"]["fields"]["predicted"]["inputFields"]
    assert {"namespace": "ciclo", "name": "feature.usdmxn", "field": "fix_mxn"}.items() <= made_from[0].items()


def test_a_file_that_is_long_begins_anew_and_what_was_before_is_kept_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.lineage.events.MOST_BYTES", 10)
    for number in range(3):
        tell(RunRef("score_usdmxn", f"r{number}"), "predict", columns.predicted(SPECS["usdmxn"], 3))
    before = file.with_name(f"{file.name}.1")
    assert [len(path.read_text(encoding="utf-8").splitlines()) for path in (file, before)] == [1, 1]


def test_what_a_catalogue_does_not_take_is_kept_in_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    tell(RunRef("score_usdmxn", "r2"), "predict", columns.predicted(SPECS["usdmxn"], 3))
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1


def test_a_place_that_takes_nothing_stops_no_task(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr("include.lineage.events.FILE", ("log", "openlineage.ndjson", "below", "a file"))
    settings().var.joinpath("log").mkdir(parents=True, exist_ok=True)
    settings().var.joinpath("log", "openlineage.ndjson").touch()
    tell(RunRef("score_usdmxn", "r3"), "predict", columns.predicted(SPECS["usdmxn"], 3))
    assert "lineage cannot be written" in caplog.text
