"""The hash of a contract: it moves with what a payload's rows become, and with nothing else."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from include.spec.lines import read
from include.spec.load import parse
from include.spec.model import CsvSource

EVERY_KIND = read(Path(__file__).with_name("every_kind.yaml").read_text("utf-8")).data
CHECK = {"kind": "rule", "name": "positive", "rule": "sensor >= 0", "note": "A sensor is never below nothing."}
EVERY_KIND["sources"]["station"]["checks"] = [CHECK]


def contract(source: str, *keys: Any, value: Any = None) -> str:
    """Return the hash of a source in which one value, the last of `keys`, is another one."""
    document = copy.deepcopy(EVERY_KIND)
    place = document["sources"][source]
    for key in keys[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    if keys:
        assert isinstance(place, list) or place.get(keys[-1]) != value, "nothing would change"
        place[keys[-1]] = value
    pipeline = parse(json.dumps(document), "pipeline.yaml")
    return pipeline.sources[source].contract_sha256()


@pytest.mark.parametrize(
    ("source", "keys", "value"),
    [
        ("station", ("title",), "The same file under another title"),
        ("station", ("connection",), "other_files"),
        ("station", ("columns", "sensor", "description"), "Other words"),
        ("station", ("ignore",), ["No"]),
        ("station", ("wait",), "1 day"),
        ("station", ("columns", "sensor", "note"), "Said in other words."),
        ("station", ("columns", "sensor", "unit"), "1"),
        ("station", ("checks", 0, "note"), "Because it is so."),
        ("station", ("columns", "sensor", "required"), False),
        ("station", ("columns", "sensor", "completeness"), 0.8),
        ("rates", ("max_rejected",), 0.05),
        ("rates", ("published", "months"), 0),
        ("quotes", ("pagination", "max_pages"), 1000),
    ],
)
def test_words_places_and_defaults_that_are_written_out_leave_it(source: str, keys: tuple[Any, ...], value: Any):
    assert contract(source, *keys, value=value) == contract(source)


def test_a_key_that_sources_gain_leaves_it_while_nobody_writes_it():
    class Newer(CsvSource):
        further: int = 0

    document = EVERY_KIND["sources"]["station"]
    old, new = CsvSource.model_validate(document), Newer.model_validate(document)
    assert new.contract_sha256() == old.contract_sha256()
    assert Newer.model_validate(document | {"further": 1}).contract_sha256() != old.contract_sha256()


@pytest.mark.parametrize(
    ("source", "keys", "value"),
    [
        ("station", ("missing",), ["-200", "-999"]),
        ("station", ("columns", "sensor", "missing"), ["0"]),
        ("station", ("columns", "sensor", "from"), "S3"),
        ("station", ("columns", "sensor", "type"), "integer"),
        ("station", ("columns", "sensor", "max"), 10.0),
        ("station", ("columns", "sensor", "required"), True),
        ("station", ("checks", 0, "rule"), "sensor >= 1"),
        ("station", ("thousands",), "'"),
        ("station", ("encoding",), "utf-8"),
        ("station", ("skip_lines",), 3),
        ("station", ("time", "timezone"), "Asia/Tokyo"),
        ("station", ("published", "after"), "2 hours"),
        ("station", ("max_rejected",), 0.2),
        ("rates", ("increment",), "PorcAnual"),
        ("prices", ("published", "timezone"), "Asia/Tokyo"),
        ("quotes", ("rows",), "$.rates"),
        ("operations", ("columns", "client_id", "personal"), "drop"),
    ],
)
def test_what_changes_the_rows_of_a_payload_changes_it(source: str, keys: tuple[Any, ...], value: Any):
    assert contract(source, *keys, value=value) != contract(source)
