"""INEGI's stand-in beside what the real service sent."""

import json
from collections.abc import Callable

import pytest

from include.sandbox.inegi import NO_RESULTS

Wire = Callable[[str], bytes]


def test_the_series_has_the_recorded_head(sandbox, wire: Wire) -> None:
    recorded, ours = json.loads(wire("bie-bise_inpc_910392")), sandbox.inegi().json()
    assert ours["Header"]["Name"] == recorded["Header"]["Name"]
    varying = {"OBSERVATIONS": None, "LASTUPDATE": None}
    assert ours["Series"][0] | varying == recorded["Series"][0] | varying
    assert ours["Series"][0]["LASTUPDATE"] == "09/02/2026 12:00:00 a. m."


def test_observations_run_from_the_newest_with_twenty_decimals(sandbox, wire: Wire) -> None:
    recorded = json.loads(wire("bie-bise_inpc_910392"))["Series"][0]["OBSERVATIONS"][0]
    ours = sandbox.inegi().json()["Series"][0]["OBSERVATIONS"]
    periods = [entry["TIME_PERIOD"] for entry in ours]
    assert periods == sorted(periods, reverse=True)
    assert (periods[0], periods[-1], len(periods)) == ("2026/01", "2010/07", 187)
    assert all(list(entry) == list(recorded) for entry in ours)
    assert {len(entry["OBS_VALUE"].partition(".")[2]) for entry in ours} == {20}


def test_the_rebuilt_index_lies_within_a_hundredth_percent_of_the_published_one(sandbox, wire: Wire) -> None:
    published = json.loads(wire("bie-bise_inpc_910392"))["Series"][0]["OBSERVATIONS"]
    ours = _values(sandbox.inegi().json()["Series"][0]["OBSERVATIONS"])
    for period, value in _values(published).items():
        if period in ours:
            assert ours[period] == pytest.approx(value, rel=1e-4)
    assert ours["2025/01"] == 138.343
    assert ours["2018/07"] < 100 < ours["2018/08"]  # the second fortnight of July 2018 is its base


def test_the_recent_flag_gives_the_newest_month_alone(sandbox) -> None:
    (entry,) = sandbox.inegi(recent="true").json()["Series"][0]["OBSERVATIONS"]
    assert entry["TIME_PERIOD"] == "2026/01"


def test_a_bad_token_is_refused_in_the_recorded_words(sandbox, wire: Wire) -> None:
    answer = sandbox.inegi(token="wrong")
    assert (answer.status_code, answer.json()) == (401, json.loads(wire("error_unauthorized_http401")))


def test_an_unknown_indicator_has_no_results_in_the_recorded_words(sandbox, wire: Wire) -> None:
    answer = sandbox.inegi(indicator="1")
    assert (answer.status_code, answer.json()) == (400, json.loads(wire("error_no_results_http400")))


@pytest.mark.parametrize(
    "path", ["es/00/false/BISE", "es/09/false/BIE-BISE", "xx/00/false/BIE-BISE", "es/00/x/BIE-BISE"]
)
def test_another_bank_area_language_or_flag_has_no_results(sandbox, path: str) -> None:
    prefix = "/app/api/indicadores/desarrolladores/jsonxml/INDICATOR/910392"
    answer = sandbox.get(f"{prefix}/{path}/2.0/{'i' * 36}?type=json")
    assert (answer.status_code, answer.json()) == (400, NO_RESULTS)


def _values(observations: list[dict]) -> dict[str, float]:
    return {entry["TIME_PERIOD"]: float(entry["OBS_VALUE"]) for entry in observations}
