"""The sandbox with an injection: answers keep their real form, change from then on and say that they are SIMULATED."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from requests import Response

from include.sandbox import standing, uci
from include.sandbox.injection import Injection
from tests.sandbox.test_uci import REAL

START = datetime(2025, 7, 1, tzinfo=UTC)
FIX = Injection("usdmxn", "fix_mxn", "banxico", "SF43718", "shift", "1", START, offset=1.0)
ECB = replace(FIX, column="ecb.ecb_mxn", service="frankfurter", field="ECB")
INPC = replace(FIX, column="inflation.inpc_index", service="inegi", field="910392")
PM10 = replace(FIX, pipeline="air", column="pm10", service="open_meteo", field="pm10")
CO = replace(FIX, pipeline="air_quality", service="uci", field="CO(GT)", start=datetime(2004, 9, 1, tzinfo=UTC))
SENSOR = replace(CO, column="co_sensor", field="PT08.S1(CO)")
FREEZE = {"kind": "freeze", "offset": 0.0, "constant": 17.25}
LOST = {"kind": "missing", "offset": 0.0, "share": 1.0}
AIR = {"latitude": "44.4", "longitude": "26.1", "hourly": "pm10,ozone"}
AIR |= {"start_date": "2025-06-30", "end_date": "2025-07-01"}
RATES = {"base": "USD", "quotes": "MXN", "from": "2025-06-30", "to": "2025-07-02"}


@pytest.fixture
def injected(serve, tmp_path: Path) -> Callable:
    """Start one sandbox, and give a function that lets injections stand in it and returns it."""
    client = serve(var=tmp_path)

    def stand(*injections: Injection):
        standing.replace(tmp_path / "sandbox", injections)
        return client

    return stand


def is_marked(answer: Response) -> bool:
    assert answer.status_code == 200
    return answer.headers.get("x-data-origin") == "SIMULATED"


def fix(client) -> dict[str, str]:
    [series] = client.sie("SF43718/datos/2025-06-30/2025-07-02").json()["bmx"]["series"]
    return {entry["fecha"]: entry["dato"] for entry in series["datos"]}


def test_a_series_of_banxico_is_changed_from_then_on_in_its_own_form(injected) -> None:
    before, after = fix(injected()), fix(injected(FIX))
    assert before["30/06/2025"] == after["30/06/2025"]
    assert float(after["01/07/2025"]) == pytest.approx(float(before["01/07/2025"]) + 1)
    assert {len(text.partition(".")[2]) for text in after.values()} == {4}
    assert set(fix(injected(replace(FIX, **LOST))).values()) == {before["30/06/2025"], "N/E"}
    assert fix(injected(replace(FIX, **FREEZE)))["02/07/2025"] == "17.2500"
    assert fix(injected(replace(FIX, kind="scale", offset=0.0, factor=1000.0)))["02/07/2025"].count(",") == 1


def test_injections_reach_the_newest_value_and_leave_other_series_alone(injected) -> None:
    def newest(client) -> float:
        return float(client.sie("SF43718/datos/oportuno").json()["bmx"]["series"][0]["datos"][0]["dato"])

    rate, value = injected().sie("SF43783/datos/oportuno").content, newest(injected())
    client = injected(FIX)
    assert client.sie("SF43783/datos/oportuno").content == rate
    assert newest(client) == pytest.approx(value + 1)


def test_a_rate_of_frankfurter_is_changed_for_its_provider_alone(injected) -> None:
    def rates(client, provider: str) -> list[float]:
        answer = client.get("/v2/rates", params=RATES | {"providers": provider})
        return [row["rate"] for row in answer.json()]

    ecb, banxico = (rates(injected(), name) for name in ("ECB", "BANXICO"))
    assert rates(injected(ECB), "ECB") == pytest.approx([ecb[0], ecb[1] + 1, ecb[2] + 1])
    assert rates(injected(ECB), "BANXICO") == banxico
    assert rates(injected(replace(ECB, **LOST)), "ECB") == ecb[:1]


def test_the_index_of_inegi_is_changed_and_an_empty_value_is_a_missing_one(injected) -> None:
    def index(client) -> dict[str, str]:
        [series] = client.inegi().json()["Series"]
        return {entry["TIME_PERIOD"]: entry["OBS_VALUE"] for entry in series["OBSERVATIONS"]}

    before, after = index(injected()), index(injected(INPC))
    assert after["2025/06"] == before["2025/06"]
    assert float(after["2025/07"]) == pytest.approx(float(before["2025/07"]) + 1)
    assert {len(text.partition(".")[2]) for text in after.values()} == {20}
    lost = index(injected(replace(INPC, **LOST)))
    assert {period for period, text in lost.items() if text == ""} == {p for p in before if p >= "2025/07"}


def test_a_column_of_open_meteo_is_changed_and_null_is_missing(injected) -> None:
    def hourly(client) -> dict[str, list[float | None]]:
        return client.get("/v1/air-quality", params=AIR).json()["hourly"]

    before, after = hourly(injected()), hourly(injected(PM10))
    assert after["ozone"] == before["ozone"]
    assert after["pm10"][:24] == before["pm10"][:24]
    assert after["pm10"][24:] == pytest.approx([value + 1 for value in before["pm10"][24:]])
    assert hourly(injected(replace(PM10, **LOST)))["pm10"][24:] == [None] * 24


def station(client) -> list[list[str]]:
    with zipfile.ZipFile(io.BytesIO(client.air_quality().content)) as archive:
        text = archive.read(uci.MEMBER).decode("ascii")
    assert text.count("\r\n") == text.count("\n")
    return list(csv.reader(io.StringIO(text), delimiter=";"))


def test_a_column_of_the_station_is_changed_and_every_other_cell_keeps_its_text(injected) -> None:
    before, after = station(injected()), station(injected(SENSOR))
    place = before[0].index("PT08.S1(CO)")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert old[:place] + old[place + 1 :] == new[:place] + new[place + 1 :]
    pairs = [(old, old[place], new[place]) for old, new in zip(before, after, strict=True) if old != new]
    assert all(int(new) == int(old) + 1 for _, old, new in pairs)
    dates = ["-".join(reversed(row[0].split("/"))) for row, _, _ in pairs]
    touched = [row for row in before[1:] if row[0] and "-".join(reversed(row[0].split("/"))) >= "2004-09-01"]
    assert min(dates) == "2004-09-01"
    assert len(pairs) == sum(row[place] != "-200" for row in touched)


def test_a_column_with_decimals_keeps_them_and_loses_values_as_the_file_does(injected) -> None:
    before, lost = station(injected()), station(injected(replace(CO, **LOST)))
    swapped = station(injected(replace(CO, kind="unit-swap", offset=0.0, factor=0.001)))
    shifted = station(injected(CO))
    newest = max(n for n, row in enumerate(before) if row[0] and row[2] != "-200,0")
    value = float(before[newest][2].replace(",", "."))
    assert shifted[newest][2] == f"{value + 1:.1f}".replace(".", ",")
    assert swapped[newest][2] == f"{value / 1000:.4f}".replace(".", ",")
    assert lost[newest][2] == "-200"


def test_the_real_file_with_an_injection_is_simulated_and_without_it_real_again(serve, tmp_path: Path) -> None:
    path = tmp_path / "AirQualityUCI.csv"
    path.write_bytes(REAL)
    client = serve(var=tmp_path, uci_file=path)
    truth = client.air_quality()
    assert not is_marked(truth)
    standing.replace(tmp_path / "sandbox", [replace(CO, start=datetime(2004, 3, 10, 18, tzinfo=UTC))])
    changed = client.air_quality()
    assert is_marked(changed)
    assert station(client)[1][2] == "3,6"
    assert client.air_quality().content == changed.content != truth.content
    standing.replace(tmp_path / "sandbox", [])
    again = client.air_quality()
    assert (again.content, is_marked(again)) == (truth.content, False)


@pytest.mark.parametrize(
    ("injection", "ask"),
    [
        (FIX, lambda client: client.sie("SF43718/datos/2025-01-01/2025-01-31")),  # before it begins
        (FIX, lambda client: client.sie("SF43783/datos/oportuno")),  # another series
        (FIX, lambda client: client.sie("SF43718")),
        (INPC, lambda client: client.inegi()),
        (ECB, lambda client: client.get("/v2/rates", params=RATES)),
        (SENSOR, lambda client: client.air_quality()),
        (PM10, lambda client: client.get("/v1/air-quality", params=AIR)),
    ],
)
def test_whatever_its_service_sends_is_marked_while_an_injection_stands(injected, injection: Injection, ask) -> None:
    assert is_marked(ask(injected(injection)))


def test_a_refusal_is_marked_too_and_another_service_is_not(injected) -> None:
    assert injected(INPC).inegi(token="wrong").headers["x-data-origin"] == "SIMULATED"
    assert not is_marked(injected(INPC).sie("SF43718/datos/oportuno"))


def test_it_is_read_at_every_request_and_survives_a_restart(injected, serve, tmp_path: Path) -> None:
    before, after = fix(injected()), fix(injected(FIX))
    assert before != after
    assert fix(serve(var=tmp_path)) == after
    assert fix(injected()) == before


def test_a_file_that_cannot_be_read_is_no_answer_at_all(injected, tmp_path: Path) -> None:
    client = injected(FIX)
    (tmp_path / "sandbox" / standing.FILE).write_text("[{")
    answer = client.sie("SF43718/datos/oportuno")
    assert answer.status_code == 503
    assert "injections.json cannot be read" in json.loads(answer.text)["message"]
    assert client.get("/health").status_code == 200
