"""The simulated station beside what is known of the real file."""

import io
import re

import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score

from include.sandbox.station import simulate
from include.spec.load import load_all

SHARES = {"CO(GT)": 0.18, "NMHC(GT)": 0.90, "NOx(GT)": 0.175, "NO2(GT)": 0.175}
JOINT = ["PT08.S1(CO)", "C6H6(GT)", "PT08.S2(NMHC)", "PT08.S3(NOx)", "PT08.S4(NO2)", "PT08.S5(O3)", "T", "RH", "AH"]


@pytest.fixture(scope="module")
def file() -> bytes:
    return simulate()


@pytest.fixture(scope="module")
def frame(file: bytes) -> pd.DataFrame:
    """The hours, with NaN where a value is missing, by time."""
    read = pd.read_csv(io.BytesIO(file), sep=";", decimal=",").dropna(how="all").iloc[:, :15]
    times = pd.to_datetime(read["Date"] + read["Time"], format="%d/%m/%Y%H.%M.%S")
    values = read.iloc[:, 2:].set_axis(pd.DatetimeIndex(times))
    return values.mask(values == -200)


def test_the_file_is_written_as_the_publisher_writes_it(file: bytes) -> None:
    lines = file.split(b"\r\n")
    assert lines.pop() == b""
    assert lines[-114:] == [b";" * 16] * 114
    number = rb"-?\d+(,\d+)?"
    row = rb"\d\d/\d\d/200[45];\d\d\.00\.00;" + rb";".join([number] * 13) + rb";;"
    assert [line for line in lines[1:-114] if not re.fullmatch(row, line)] == []


def test_missing_values_wear_both_markers(file: bytes) -> None:
    fields = [line.split(b";") for line in file.split(b"\r\n")]
    assert {row[2] for row in fields if row[2:] and row[2].startswith(b"-200")} == {b"-200", b"-200,0"}
    assert {row[5] for row in fields if row[5:] and row[5].startswith(b"-200")} == {b"-200,0"}
    assert {row[6] for row in fields if row[6:] and row[6].startswith(b"-200")} == {b"-200"}


def test_the_hours_are_the_publishers(frame: pd.DataFrame) -> None:
    assert len(frame) == 9357
    assert (frame.index[0], frame.index[-1]) == (pd.Timestamp("2004-03-10 18:00"), pd.Timestamp("2005-04-04 14:00"))
    assert set(frame.index.diff()[1:]) == {pd.Timedelta(hours=1)}


def test_about_as_much_is_missing_as_in_the_real_file(frame: pd.DataFrame) -> None:
    missing = frame.isna()
    assert {name: missing[name].mean() for name in SHARES} == pytest.approx(SHARES, abs=0.005)
    assert missing[JOINT].mean().to_dict() == pytest.approx(dict.fromkeys(JOINT, 0.039), abs=0.001)
    assert (missing[JOINT].nunique(axis=1) == 1).all()
    assert missing["NMHC(GT)"]["2004-05-01 01:00":].all()


def test_every_value_lies_in_the_range_of_the_contract(frame: pd.DataFrame) -> None:
    columns = load_all()["air_quality"].sources["station"].columns
    for column in columns.values():
        values = frame[column.from_]
        assert values.min() >= column.min
        assert values.max() <= column.max


def test_carbon_monoxide_follows_traffic_weekday_and_season(frame: pd.DataFrame) -> None:
    co = frame["CO(GT)"]
    by_hour = co.groupby(co.index.hour).mean()
    assert by_hour[8] > 2 * by_hour[4]
    assert by_hour[19] > 2 * by_hour[4]
    assert co[co.index.day_of_week < 5].mean() > 1.2 * co[co.index.day_of_week == 6].mean()
    assert co["2004-12":"2005-01"].mean() > 1.2 * co["2004-07":"2004-08"].mean()
    assert co.autocorr(1) > 0.7


def test_a_model_of_the_first_four_months_has_lost_clearly_by_winter(frame: pd.DataFrame) -> None:
    whole = frame.drop(columns="NMHC(GT)").dropna()
    winter = whole["2005-01":"2005-02"]
    old, new = (_fit_and_predict(whole[:until], winter) for until in ("2004-06-30", "2004-12-31"))
    truth = winter["CO(GT)"]
    assert r2_score(truth, new) > 0.8
    assert r2_score(truth, old) < 0.68
    assert mean_absolute_error(truth, old) > 1.5 * mean_absolute_error(truth, new)


def test_the_same_bytes_come_out_every_time(file: bytes) -> None:
    assert simulate() == file


def _fit_and_predict(train: pd.DataFrame, test: pd.DataFrame):
    model = Ridge().fit(train.drop(columns="CO(GT)"), train["CO(GT)"])
    return model.predict(test.drop(columns="CO(GT)"))
