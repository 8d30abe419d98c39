"""The series the sandbox's Banxico knows, with their metadata and their text form.

The Spanish titles, and the metadata of SF43718, SF43783 and SF61745, are as recorded from
the real service; the English ones and the units of SP68257 are worded after its web pages.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from include.sandbox import market_data
from include.sandbox.injection import Injection, decimals, is_touched, of_field, sent

NOT_PUBLISHED = "N/E"

_RATE = ("Porcentajes", "Percentages", "Sin Unidad", "Without Unit")
_PESOS = ("Tipo de Cambio", "Exchange Rate", "Pesos por Dólar", "Pesos per US Dollar")
_DOLLAR = "Tipo de cambio                                          Pesos por dólar E.U.A. "
_DUTY = "Tipo de cambio para solventar obligaciones denominadas en moneda extranjera "
_ANNUAL, _ANNUAL_EN = "Tasa de interés en por ciento anual", "Interest rate in percent per annum"
_DUTY_EN = "Exchange rate Pesos per US dollar Used to settle liabilities denominated in foreign currency "

# id: (title, title in English, (figure, figure in English, unit, unit in English), decimals)
_CATALOGUE = {
    "SF43718": (f"{_DOLLAR}{_DUTY}Fecha de determinación (FIX)", f"{_DUTY_EN}Determination date (FIX)", _PESOS, 4),
    "SF60653": (f"{_DOLLAR}{_DUTY}Fecha de liquidación", f"{_DUTY_EN}Settlement date", _PESOS, 4),
    "SF43783": (f"TIIE a 28 días {_ANNUAL}", f"28-day TIIE {_ANNUAL_EN}", _RATE, 4),
    "SF61745": ("Tasa objetivo", "Target rate", _RATE, 4),
    "SP68257": ("Valor de UDIS", "Value of UDIS", ("Valor", "Value", "Pesos por UDI", "Pesos per UDI"), 6),
}


@dataclass(frozen=True)
class Series:
    """One series, ready to be written.

    Parameters
    ----------
    kind : tuple of (str, str, str, str)
        Figure, figure in English, unit, unit in English.
    entries : list of (date, str)
        Oldest first, each day with what is written for it: the number with its thousands commas, or `N/E`.
    """

    id: str
    title: str
    title_en: str
    kind: tuple[str, str, str, str]
    entries: list[tuple[date, str]]

    def data(self, start: date = date.min, end: date = date.max) -> list[dict[str, str]]:
        """Return the entries from `start` to `end`, both included, as the wire has them."""
        chosen = market_data.between(self.entries, start, end)
        return [{"fecha": f"{day:%d/%m/%Y}", "dato": value} for day, value in chosen]


def load_series(not_published: frozenset[tuple[str, date]] = frozenset()) -> dict[str, Series]:
    """Load every series by its id.

    Parameters
    ----------
    not_published : frozenset of (str, date)
        Series id and day that shall be answered with `N/E`, whether or not the day has a
        value. Without it a day without a value is absent, as in the recorded answers.

    Raises
    ------
    ConfigError
        The package that carries the data is not installed. A retry brings the same.
    """
    fix = market_data.fix()
    values = {
        "SF43718": fix,
        "SF60653": market_data.settlement(fix),
        "SF43783": market_data.tiie_28d(),
        "SF61745": market_data.target_rate(until=fix[-1][0]),
        "SP68257": market_data.udi(),
    }
    loaded = {}
    for id_, (title, title_en, kind, digits) in _CATALOGUE.items():
        texts = {day: f"{value:,.{digits}f}" for day, value in values[id_]}
        texts |= {day: NOT_PUBLISHED for series, day in not_published if series == id_}
        loaded[id_] = Series(id_, title, title_en, kind, sorted(texts.items()))
    return loaded


def injected(series: Series, injections: Iterable[Injection]) -> Series:
    """Return a series as injections change it; a value that goes missing is `N/E`, and other days keep their bytes."""
    own = of_field(injections, series.id)
    return replace(series, entries=[(day, _changed(text, day, own)) for day, text in series.entries]) if own else series


def _changed(text: str, day: date, own: tuple[Injection, ...]) -> str:
    at = datetime.combine(day, time(), UTC)
    if text == NOT_PUBLISHED or not is_touched(at, own):
        return text
    written = len(text.partition(".")[2])
    value = sent(float(text.replace(",", "")), at, own, written)
    return NOT_PUBLISHED if value is None else f"{value:,.{decimals(written, at, own)}f}"
