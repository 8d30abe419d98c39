"""What an event's extra may say about the window, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError
from include.events.extra import named_window
from include.windows import Window

JANUARY = {"start": "2025-01-01", "end": "2025-02-01"}
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.text(), max_size=2)


def test_a_window_that_is_named_is_taken() -> None:
    extras = [{"from_rest_api": True, **JANUARY}, {"from_trigger": True, "payload": {"notifications": 3}}]
    assert named_window("ingest_usdmxn", extras) == Window.parse("2025-01-01", "2025-02-01")


@pytest.mark.parametrize("extra", [{}, {"from_rest_api": True}, {"start": None, "end": None}, {"start": "", "end": ""}])
def test_an_event_that_names_none_leaves_it_to_the_last_load(extra: dict) -> None:
    assert named_window("ingest_usdmxn", [extra]) is None


@pytest.mark.parametrize(
    "extra",
    [
        {"start": "2025-01-01"},
        {"end": "2025-01-01"},
        {"start": 20250101, "end": 20250201},
        {"start": "yesterday", "end": "today"},
        {"start": "2025-02-01", "end": "2025-01-01"},
        {"start": ["2025-01-01"], "end": "2025-02-01\nforged line"},
    ],
)
def test_an_event_that_names_half_a_window_or_none_at_all_is_refused_with_the_way_out(extra: dict) -> None:
    with pytest.raises(ConfigError) as refusal:
        named_window("ingest_usdmxn", [JANUARY, extra])
    told = str(refusal.value)
    assert told.startswith("ingest_usdmxn: the event that started this run has in its extra ")
    assert "airflow dags trigger ingest_usdmxn --conf '{" in told
    assert "\n" not in told


@given(st.dictionaries(st.sampled_from(["start", "end", "note"]), JSON))
def test_whatever_an_event_says_gives_a_window_none_or_that_refusal(extra: dict) -> None:
    try:
        found = named_window("ingest_usdmxn", [extra])
    except ConfigError:
        return
    assert found is None or isinstance(found, Window)
