"""A simulated street station in the exact format of the UCI Air Quality file. Nothing in it was measured.

It has what makes the real one hard: gases that follow traffic, weekday, season and lasting weather; sensors that answer
several gases, temperature and humidity non-linearly, and that age; analysers that are down for days; one analyser that
was switched off for good. The same bytes come out every time. Shapes and magnitudes follow the published file, whose
values are not used: De Vito et al., Sensors and Actuators B 129 (2008) 750-757.
"""

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

HEADER = "Date;Time;CO(GT);PT08.S1(CO);NMHC(GT);C6H6(GT);PT08.S2(NMHC);NOx(GT);PT08.S3(NOx);NO2(GT);PT08.S4(NO2);"
HEADER += "PT08.S5(O3);T;RH;AH;;"
START = datetime(2004, 3, 10, 18)
HOURS = 9357
BLANK_ROWS = 114
SEED = 20040310
NMHC_OFF = 1231  # hours until the hydrocarbon analyser was switched off, after 2004-05-01 00:00
CO_DECIMALS = 7110  # hours until the file writes `2,0` instead of `2`, from 2005-01-01
# Traffic of a working day by hour, relative to its mean.
TRAFFIC = [0.62, 0.45, 0.34, 0.28, 0.28, 0.40, 0.72, 1.22, 1.55, 1.42, 1.22, 1.15]
TRAFFIC += [1.14, 1.12, 1.06, 1.08, 1.18, 1.38, 1.62, 1.66, 1.42, 1.05, 0.88, 0.76]
# Of each column after the first, in the file's order.
DECIMALS = {"s1": 0, "nmhc": 0, "benzene": 1, "s2": 0, "nox": 0, "s3": 0, "no2": 0, "s4": 0, "s5": 0}
DECIMALS |= {"t": 1, "rh": 1, "ah": 4}
# How many hours are missing, in runs of about how many hours.
MISSING = {"co": (1683, 24), "nox": (1639, 36), "sensors": (366, 16), "nmhc": (317, 12)}


def simulate() -> bytes:
    """Return the simulated file.

    Returns
    -------
    bytes
        CSV with `;`, decimal comma and CRLF: 9,357 hours from 2004-03-10 18:00, two unnamed
        trailing columns, `-200` or `-200,0` where a value is missing, 114 blank rows at the end.
    """
    # RandomState's stream is frozen for good; a Generator's may change between numpy versions.
    random = np.random.RandomState(SEED)
    times = [START + timedelta(hours=n) for n in range(HOURS)]
    columns = _columns(_measure(times, random), _gaps(random))
    rows = [f"{time:%d/%m/%Y;%H.%M.%S};{';'.join(row)};;" for time, *row in zip(times, *columns, strict=True)]
    return "".join(f"{row}\r\n" for row in [HEADER, *rows, *[";" * 16] * BLANK_ROWS]).encode("ascii")


def _measure(times: list[datetime], random: np.random.RandomState) -> dict[str, Values]:
    """Return the true gases and weather and the sensors' answers, each of shape (9357,)."""
    day = np.array([time.timetuple().tm_yday + time.hour / 24 for time in times])
    hour = np.array([time.hour for time in times])
    winter = np.cos(2 * np.pi * (day - 15) / 365.25)  # 1 in mid January, -1 in mid July
    values = _weather(hour, np.cos(2 * np.pi * (day - 22) / 365.25), random)
    values |= _gases(times, winter, random)
    return values | _sensors(values, np.arange(HOURS) / 8766, random)


def _weather(hour: NDArray[np.int_], cold: Values, random: np.random.RandomState) -> dict[str, Values]:
    afternoon = np.cos(2 * np.pi * (hour - 15) / 24)
    temperature = 18.3 - 10.8 * cold + (4.2 - 1.3 * cold) * afternoon + _persistent(random, 0.985, 2.6)
    humidity = 50 + 7 * cold - 13 * afternoon + _persistent(random, 0.97, 11)
    temperature, humidity = np.clip(temperature, -1.9, 44.6), np.clip(humidity, 9.2, 88.7)
    # Vapour pressure in kPa (Magnus): that is what the published column AH amounts to.
    vapour = humidity / 100 * 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))
    return {"t": temperature, "rh": humidity, "ah": vapour}


def _gases(times: list[datetime], winter: Values, random: np.random.RandomState) -> dict[str, Values]:
    weekday = np.array([[1.0, 1.03, 1.04, 1.04, 1.08, 0.85, 0.68][time.weekday()] for time in times])
    holiday = np.array([0.62 if time.month == 8 else 1.0 for time in times])
    traffic = np.array([TRAFFIC[time.hour] for time in times]) * weekday * holiday
    air = np.exp(_persistent(random, 0.9, 0.38) + _persistent(random, 0.99, 0.24))
    co = 1.95 * traffic * air * np.exp(0.15 * winter)
    nox = 118 * co**1.05 * np.exp(0.3 * winter + _persistent(random, 0.9, 0.38))
    benzene = 4.6 * co**1.12 * np.exp(-0.36 * winter + _persistent(random, 0.9, 0.26))
    no2 = 82 * co**0.42 * np.exp(0.16 * winter + _persistent(random, 0.95, 0.26))
    nmhc = 20 * benzene**1.02 * np.exp(0.25 * random.randn(HOURS))
    seen = co * np.exp(0.16 * random.randn(HOURS))
    return {
        "co": np.clip(seen, 0.1, 11.9),
        "nmhc": np.clip(nmhc, 7, 1189),
        "benzene": np.clip(benzene, 0.1, 63.7),
        "nox": np.clip(nox, 2, 1479),
        "no2": np.clip(no2, 2, 340),
    }


def _sensors(gas: dict[str, Values], years: Values, random: np.random.RandomState) -> dict[str, Values]:
    """Return what the five metal oxide sensors answer after `years` in the street."""
    co, benzene, nox, warm, ah = gas["co"], gas["benzene"], gas["nox"], gas["t"] - 18, gas["ah"]
    worn = 1 - 0.5 * years  # what is left of the answer to the gas; the resting level sinks less
    s1 = (680 + 310 * worn * co**0.62 + 90 * ah - 1.5 * warm) * (1 - 0.08 * years)
    s2 = (400 + 190 * worn * benzene**0.52 + 1.2 * warm) * (1 - 0.02 * years)
    s3 = (430 + 1000 * np.exp(-0.36 * co - 0.0006 * nox) - 45 * ah) * (1 - 0.05 * years)
    s4 = (640 + 285 * worn * np.log1p(benzene) + 330 * ah + 3 * warm) * (1 - 0.2 * years)
    s5 = (480 + 350 * worn * co**0.7 + 0.3 * nox - 3 * warm) * (1 - 0.12 * years)
    ranges = {"s1": (647, 2040), "s2": (383, 2214), "s3": (322, 2683), "s4": (551, 2775), "s5": (221, 2523)}
    noisy = [s * np.exp(_persistent(random, 0.97, 0.1) + 0.03 * random.randn(HOURS)) for s in (s1, s2, s3, s4, s5)]
    return {name: np.clip(s, *ranges[name]) for name, s in zip(ranges, noisy, strict=True)}


def _persistent(random: np.random.RandomState, memory: float, spread: float) -> Values:
    """Return hourly noise of the standard deviation `spread` that keeps the share `memory` each hour."""
    shocks = random.randn(HOURS) * spread * np.sqrt(1 - memory**2)
    noise = np.empty(HOURS)
    level = spread * random.randn()
    for n, shock in enumerate(shocks):
        noise[n] = level = memory * level + shock
    return noise


def _gaps(random: np.random.RandomState) -> dict[str, NDArray[np.bool_]]:
    """Return which hours are missing: as many as in the published file, in runs."""
    gaps = {}
    for name, (total, run) in MISSING.items():
        until = NMHC_OFF if name == "nmhc" else HOURS
        gap = np.zeros(HOURS, dtype=bool)
        while (left := total - int(gap.sum())) > 0:
            start = random.randint(until)
            gap[start : min(until, start + min(left, 1 + int(random.exponential(run))))] = True
        gaps[name] = gap
    gaps["nmhc"][NMHC_OFF:] = True
    gaps["no2"] = gaps["nox"].copy()
    gaps["no2"][np.flatnonzero(~gaps["nox"])[[1000, 4000, 7000]]] = True
    return gaps


def _columns(values: dict[str, Values], gaps: dict[str, NDArray[np.bool_]]) -> list[list[str]]:
    """Return the 13 value columns as the file writes them."""
    co = _texts(values["co"], gaps["co"], 1, "-200,0")
    early = [text.removesuffix(",0") for text in co[:CO_DECIMALS]]
    columns = {name: _texts(values[name], gaps.get(name, gaps["sensors"]), n) for name, n in DECIMALS.items()}
    columns["benzene"] = _texts(values["benzene"], gaps["sensors"], 1, "-200,0")
    return [early + co[CO_DECIMALS:], *columns.values()]


def _texts(values: Values, gap: NDArray[np.bool_], decimals: int, missing: str = "-200") -> list[str]:
    pairs = zip(values.tolist(), gap.tolist(), strict=True)
    return [missing if is_missing else f"{value:.{decimals}f}".replace(".", ",") for value, is_missing in pairs]
