"""Banxico's stand-in beside what the real service sent."""

import hashlib
import json
from collections.abc import Callable
from datetime import date

import pytest

from include.sandbox.rate_limit import Limits

Wire = Callable[[str], bytes]
RECORDED = "datos/2018-01-01/2025-08-01"


def test_the_fix_is_byte_for_byte_what_banxico_sent(sandbox, wire: Wire) -> None:
    answer = sandbox.sie(f"SF43718/{RECORDED}")
    assert answer.content == wire("SF43718_2018-2025_raw")
    assert answer.headers["content-type"].lower().replace(" ", "") == "application/json;charset=utf-8"
    assert "X-Data-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("series", "sha256"),
    [
        # Of SF61745_tasa_objetivo_2018-2025_raw.json and SP68257_UDI_2018-2025_raw.json, too large to keep here.
        ("SF61745", "2e4f9d73a97117056e7e8a98d0c99d54caa1ae3ca5d268ea63c87559403935f0"),
        ("SP68257", "0e4dceb341ffdf11e2bfdadb0b85a1b62feca1c151fd2f7bf786d53432e5a8ed"),
    ],
)
def test_the_target_rate_and_the_udi_are_byte_for_byte_what_banxico_sent(sandbox, series: str, sha256: str) -> None:
    assert hashlib.sha256(sandbox.sie(f"{series}/{RECORDED}").content).hexdigest() == sha256


def test_the_newest_fix_values_agree_with_a_later_recording(sandbox, wire: Wire) -> None:
    recorded = json.loads(wire("multi5_2026-03_range_raw"))["bmx"]["series"][0]["datos"]
    ours = _only(sandbox.sie("SF43718/datos/2026-03-02/2026-03-31"))["datos"]
    assert ours == recorded[: len(ours)]
    assert ours[-1]["fecha"] == "04/03/2026"


def test_a_fix_settles_two_banking_days_later(sandbox, wire: Wire) -> None:
    recorded = json.loads(wire("SF60653_date_range"))["bmx"]["series"][0]["datos"]
    assert _only(sandbox.sie("SF60653/datos/2020-11-26/2020-11-27"))["datos"] == recorded
    newest = json.loads(wire("SF60653_latest"))["bmx"]["series"][0]["datos"]
    assert _only(sandbox.sie("SF60653/datos/2020-12-01/2020-12-01"))["datos"] == newest


def test_the_target_rate_follows_the_announcements_after_the_recording(sandbox) -> None:
    values = {entry["fecha"]: entry["dato"] for entry in _only(sandbox.sie("SF61745/datos"))["datos"]}
    assert [values[day] for day in ("07/08/2025", "08/08/2025", "19/12/2025")] == ["8.0000", "7.7500", "7.0000"]
    assert list(values)[-1] == "04/03/2026"


def test_the_tiie_has_four_decimals_on_banking_days(sandbox) -> None:
    entries = _only(sandbox.sie("SF43783/datos/2025-12-10/2025-12-15"))["datos"]
    assert entries == [
        {"fecha": "10/12/2025", "dato": "7.4997"},
        {"fecha": "11/12/2025", "dato": "7.5097"},
        {"fecha": "15/12/2025", "dato": "7.5097"},
    ]


def test_series_come_in_another_order_than_asked(sandbox) -> None:
    asked = ["SF61745", "SF43718", "SF43783"]
    answer = sandbox.sie(f"{','.join(asked)}/datos/2026-03-02/2026-03-04").json()
    got = [series["idSerie"] for series in answer["bmx"]["series"]]
    assert sorted(got) == sorted(asked)
    assert got != asked


def test_the_newest_value_comes_alone(sandbox) -> None:
    assert _only(sandbox.sie("SF43718/datos/oportuno"))["datos"] == [{"fecha": "04/03/2026", "dato": "17.5445"}]


def test_a_range_without_values_has_no_datos(sandbox) -> None:
    answer = sandbox.sie("SF43718/datos/2025-12-13/2025-12-14")
    assert answer.status_code == 200
    assert list(_only(answer)) == ["idSerie", "titulo"]


def test_a_holiday_is_absent_unless_it_is_declared_not_published(sandbox, serve, wire: Wire) -> None:
    path = "SF43718/datos/2025-12-11/2025-12-12"
    assert [entry["fecha"] for entry in _only(sandbox.sie(path))["datos"]] == ["11/12/2025"]
    told = serve(not_published=frozenset({("SF43718", date(2025, 12, 12))}))
    holiday = _only(told.sie(path))["datos"][-1]
    missing = json.loads(wire("missing_NE_thousands"))["bmx"]["series"][0]["datos"][1]
    assert holiday == missing | {"fecha": "12/12/2025"}


def test_metadata_has_the_recorded_keys_and_dates(sandbox, wire: Wire) -> None:
    recorded = json.loads(wire("metadata_SHAPE"))["bmx"]["series"][0]
    ours = _only(sandbox.sie("SF43718"))
    assert list(ours) == list(recorded)
    same = ("idSerie", "fechaInicio", "periodicidad", "cifra", "versionada")
    assert [ours[key] for key in same] == [recorded[key] for key in same]
    assert ours["fechaFin"] == "04/03/2026"


def test_english_metadata_turns_the_dates_but_data_keep_theirs(sandbox, wire: Wire) -> None:
    recorded = json.loads(wire("metadata_en_real"))["bmx"]["series"][0]
    ours = _only(sandbox.sie("SF43718", locale="en"))
    assert list(ours) == list(recorded)
    assert (ours["fechaInicio"], ours["fechaFin"], ours["periodicidad"]) == ("11/12/1991", "03/04/2026", "Daily")
    newest = _only(sandbox.sie("SF43718/datos/oportuno", locale="en"))
    assert newest["datos"][0]["fecha"] == "04/03/2026"
    assert newest["titulo"] == ours["titulo"]


@pytest.mark.parametrize("headers", [{}, {"Bmx-Token": "wrong"}])
def test_a_bad_token_is_refused_in_the_recorded_words(sandbox, wire: Wire, headers: dict[str, str]) -> None:
    answer = sandbox.get("/SieAPIRest/service/v1/series/SF43718/datos/oportuno", headers=headers)
    assert (answer.status_code, answer.content) == (400, wire("error_bad_token_http400"))


def test_the_token_may_travel_as_a_parameter(sandbox) -> None:
    url = "/SieAPIRest/service/v1/series/SF43718/datos/oportuno"
    assert sandbox.get(url, params={"token": "b" * 64}).status_code == 200
    assert sandbox.get(url, params={"token": "wrong"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(",".join(f"SF{n}" for n in range(21)), 400, id="21 series"),
        pytest.param("SF43718;SF43783/datos", 400, id="malformed ids"),
        pytest.param("SF43718/datos/01-02-2025/2025-02-01", 400, id="malformed date"),
        pytest.param("SF43718/datos/2025-02-30/2025-03-01", 400, id="date that does not exist"),
        pytest.param("SF43718/datos/2025-03-02/2025-03-01", 400, id="range that ends before it starts"),
        pytest.param("SF99999/datos", 404, id="unknown series"),
    ],
)
def test_a_bad_request_is_answered_with_an_error_node(sandbox, path: str, status: int) -> None:
    answer = sandbox.sie(path)
    assert answer.status_code == status
    assert list(answer.json()["error"]) == ["mensaje", "detalle"]


def test_an_unknown_series_beside_a_known_one_is_left_out(sandbox) -> None:
    assert _only(sandbox.sie("SF99999,SF43718/datos/oportuno"))["idSerie"] == "SF43718"


def test_a_token_over_its_limit_is_refused_with_the_time_of_its_return(serve, wire: Wire) -> None:
    hasty = serve(limits=Limits(recent=1, history=1))
    assert hasty.sie("SF43718/datos").status_code == 200
    refused = hasty.sie("SF43718/datos")
    error = refused.json()["error"]
    recorded = json.loads(wire("error_rate_limit_http400_SHAPE"))["error"]
    assert (refused.status_code, list(error), error["mensaje"]) == (400, list(recorded), recorded["mensaje"])
    assert error["detalle"].endswith(" America/Mexico_City")
    assert 0 < error["secondsToReset"] <= 300
    assert refused.headers["Bmx-timeReset"] == str(error["timeReset"])
    assert hasty.sie("SF43718/datos/oportuno").status_code == 200  # another kind, another count


def _only(answer) -> dict:
    (series,) = answer.json()["bmx"]["series"]
    return series
