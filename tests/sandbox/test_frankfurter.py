"""Frankfurter's stand-in beside what the real service is known to send."""

import json
from collections.abc import Callable

import pytest

FIX = {"providers": "BANXICO", "base": "USD", "quotes": "MXN"}
ECB = FIX | {"providers": "ECB"}
WHOLE = {"from": "2008-01-01", "to": "2026-03-04"}


def test_rates_are_a_flat_list_with_both_dates_included(sandbox) -> None:
    answer = sandbox.get("/v2/rates", params=FIX | {"from": "2025-01-02", "to": "2025-01-06"})
    assert answer.headers["content-type"] == "application/json"
    assert [row["date"] for row in answer.json()] == ["2025-01-02", "2025-01-03", "2025-01-06"]
    assert list(answer.json()[0]) == ["date", "base", "quote", "rate"]
    assert {(row["base"], row["quote"]) for row in answer.json()} == {("USD", "MXN")}


def test_rates_are_the_real_fix_and_say_so_by_saying_nothing(sandbox, wire: Callable[[str], bytes]) -> None:
    recorded = json.loads(wire("SF43718_2018-2025_raw"))["bmx"]["series"][0]["datos"]
    answer = sandbox.get("/v2/rates", params=FIX | {"from": "2018-01-01", "to": "2025-12-31"})
    ours = {"/".join(reversed(row["date"].split("-"))): row["rate"] for row in answer.json()}
    published = {row["fecha"]: float(row["dato"]) for row in recorded if row["dato"] != "N/E"}
    assert published
    assert {day: ours[day] for day in published} == published
    assert "x-data-origin" not in answer.headers


def test_the_ecbs_rate_is_the_cross_of_its_two_euro_rates(sandbox) -> None:
    # On 1 July 2025 a euro was 1.181 dollars and 22.0635 pesos.
    answer = sandbox.get("/v2/rates", params=ECB | {"from": "2025-07-01", "to": "2025-07-01"})
    assert answer.json() == [{"date": "2025-07-01", "base": "USD", "quote": "MXN", "rate": round(22.0635 / 1.181, 4)}]
    assert "x-data-origin" not in answer.headers


def test_the_ecbs_rates_begin_with_the_peso_and_go_on_beyond_the_fix(sandbox) -> None:
    days = [row["date"] for row in sandbox.get("/v2/rates", params=ECB | {"from": "1999-01-01"}).json()]
    assert days[0] == "2008-01-02"
    assert days[-1] > "2026-03-04"
    assert days == sorted(set(days))


def test_both_providers_tell_of_the_same_market(sandbox) -> None:
    fix, ecb = (
        {row["date"]: row["rate"] for row in sandbox.get("/v2/rates", params=who | WHOLE).json()} for who in (FIX, ECB)
    )
    apart = [abs(fix[day] - ecb[day]) / ecb[day] for day in fix.keys() & ecb.keys()]
    assert len(apart) == 4539
    assert max(apart) < 0.05
    assert sum(share < 0.01 for share in apart) / len(apart) > 0.97
    assert fix != ecb


def test_the_cross_has_three_decimals_above_twenty_and_four_below(sandbox) -> None:
    rates = [row["rate"] for row in sandbox.get("/v2/rates", params=ECB | WHOLE).json()]
    assert all(rate == round(rate, 3 if rate > 20 else 4) for rate in rates)
    assert min(rates) < 20 < max(rates)


def test_a_providers_name_may_be_written_small(sandbox) -> None:
    params = {"from": "2025-07-01", "to": "2025-07-02"}
    assert sandbox.get("/v2/rates", params=ECB | params | {"providers": "ecb"}).json() == (
        sandbox.get("/v2/rates", params=ECB | params).json()
    )


def test_a_blend_of_two_providers_is_refused_rather_than_made_up(sandbox) -> None:
    answer = sandbox.get("/v2/rates", params=FIX | {"from": "2025-07-01", "providers": "BANXICO,ECB"})
    assert answer.status_code == 422
    assert "blends no providers" in answer.json()["message"]


def test_without_an_end_rates_run_to_the_newest(sandbox) -> None:
    assert sandbox.get("/v2/rates", params=FIX | {"from": "2026-03-03"}).json()[-1]["date"] == "2026-03-04"


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2025-01-04", "to": "2025-01-05"},  # a weekend
        {"from": "2025-01-05", "to": "2025-01-02"},
        {"from": "2025-01-02", "to": "2025-01-06", "providers": "XYZ"},
        {"from": "2025-01-02", "to": "2025-01-06", "base": "MXN", "quotes": "USD"},
    ],
)
def test_nothing_to_tell_is_an_empty_list(sandbox, params: dict[str, str]) -> None:
    answer = sandbox.get("/v2/rates", params=FIX | params)
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("params", [{"base": "XYZ"}, {"quotes": "MXN,XYZ"}, {"from": "someday"}, {"to": "2025-02-30"}])
def test_what_makes_no_sense_is_refused_with_a_message(sandbox, params: dict[str, str]) -> None:
    answer = sandbox.get("/v2/rates", params=FIX | {"from": "2025-01-02"} | params)
    assert answer.status_code == 422
    assert list(answer.json()) == ["message"]


def test_another_path_is_not_found(sandbox) -> None:
    answer = sandbox.get("/v2/rate")
    assert (answer.status_code, answer.json()) == (404, {"message": "not found"})
