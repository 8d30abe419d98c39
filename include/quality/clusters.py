"""Quarantined rows that cluster: few of a batch may be all there are of one hour, weekday, key or form. Pure.

By chance alone, k or more of the n rows of a group are quarantined with a probability of at most

    exp(-n * (q * log(q / p) + (1 - q) * log((1 - q) / (1 - p)))),  q = k / n,

where p is the share of all rows that are (Hoeffding, 1963, Probability Inequalities for Sums of Bounded Random
Variables, theorem 1, which holds for drawing without replacement, too), times the number of groups looked at
(Bonferroni). A form that cannot be read needs no such test: whatever is written so is lost.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.quality.contract import Result
from include.spec.model import AnySource, Column

FEWEST = 3  # rows that make a cluster
LEAST_LOST = 0.5  # of a group's rows: what is significant in a big batch may be next to nothing
CHANCE = 0.001  # that scattered rows of a batch are taken for clustered ones
LEAST_OF_BATCH = 0.01  # of the rows received: a form of fewer is a slip of the pen
MOST_GROUPS = 10_000  # values of one key that are counted; where there are more, each has few rows
SHOWN = 3
HOUR, WEEKDAY = "hour", "weekday"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PARTS = {
    **{"Y": ("year", r"\d{4}"), "y": ("year", r"\d\d"), "m": ("month", r"\d\d?"), "d": ("day", r"\d\d?")},
    **{"b": ("month", r"[^\W\d_]+\.?"), "B": ("month", r"[^\W\d_]+\.?"), "H": ("hour", r"\d\d?")},
    **{"I": ("hour", r"\d\d?"), "M": ("minute", r"\d\d?"), "S": ("second", r"\d\d?"), "f": ("fraction", r"\d{1,6}")},
}
ISO = r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)([T ](?P<H>\d\d):(?P<M>\d\d)(:(?P<S>\d\d))?.*)?"
Form = tuple[str, str]  # what is written so, and how


class Clusters:
    """Counts of accepted and quarantined rows by what they have in common, gathered a part at a time.

    Parameters
    ----------
    source : AnySource
        Hours and weekdays are those of its zone; values of personal columns are not looked at.
    """

    def __init__(self, source: AnySource) -> None:
        self.source = source
        self._key = [name for name in source.key if source.columns[name].personal == "no"]
        self.accepted: dict[str, Counter[Any]] = defaultdict(Counter)
        self.quarantined: dict[str, Counter[Any]] = defaultdict(Counter)
        self.forms: Counter[Form] = Counter()
        self.examples: dict[Form, str] = {}

    @property
    def by_hour(self) -> Counter[int]:
        """Accepted rows by their hour in the source's zone."""
        return self.accepted[HOUR]

    def accept(self, rows: pa.RecordBatch) -> None:
        """Count accepted rows: their `valid_at` and key, typed."""
        self._count(self.accepted, rows)

    def quarantine(self, rows: pa.RecordBatch) -> None:
        """Count quarantined rows, of which a time or a key may be missing."""
        self._count(self.quarantined, rows)

    def move(self, rows: pa.RecordBatch) -> None:
        """Count rows as quarantined that were counted as accepted."""
        self.quarantine(rows)
        for what, values in self._values(rows):
            self.accepted[what].subtract(_as_dict(values.value_counts()))

    def explain(self, rule: str, column: str, text: str | None) -> None:
        """Note how a text that broke a rule is written."""
        if text and (form := self._form(rule, column, text)):
            self.forms[form] += 1
            self.examples.setdefault(form, text)

    def result(self, row_count: int, quarantined_count: int) -> Result | None:
        """Return whether quarantined rows cluster; None where they are too few to.

        Parameters
        ----------
        row_count : int
            Rows received, quarantined ones included.
        """
        if quarantined_count < FEWEST:
            return None
        sentences = [*self._lost_forms(row_count), *self._lost_groups(row_count, quarantined_count)]
        more = f"; and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
        told = "; ".join(sentences[:SHOWN]) + more if sentences else f"{quarantined_count} scattered rows"
        return Result(
            *("clustered", "*", self.source.clustered, not sentences, quarantined_count, 0),
            *(f"quarantined are {told}", "no hour, weekday, key or form in common"),
        )

    def _count(self, counts: dict[str, Counter[Any]], rows: pa.RecordBatch) -> None:
        for what, values in self._values(rows):
            counted = values.value_counts()
            if len(counts[what]) + len(counted) > MOST_GROUPS:
                self._key.remove(what)
            else:
                counts[what].update(_as_dict(counted))

    def _values(self, rows: pa.RecordBatch) -> list[tuple[str, pa.Array]]:
        at = rows.column("valid_at").drop_null().cast(pa.timestamp("us", self.source.zone.key))
        keys = [(name, rows.column(name).drop_null()) for name in self._key]
        return [(HOUR, pc.hour(at)), (WEEKDAY, pc.day_of_week(at)), *keys]

    def _lost_groups(self, row_count: int, quarantined_count: int) -> Iterator[str]:
        """Yield the groups of which far more rows are quarantined than of the others, the least likely first."""
        names = (HOUR, WEEKDAY, *self._key)
        groups = {(what, value) for what in names for value in (*self.accepted[what], *self.quarantined[what])}
        lost = []
        for what, value in groups:
            count = self.quarantined[what][value]
            total = count + self.accepted[what][value]
            if count >= FEWEST and count >= LEAST_LOST * total:
                chance = chance_at_most(count, total, quarantined_count / row_count) * len(groups)
                lost.append((chance, f"{count} of {total} rows {_named(what, value)}"))
        yield from (sentence for chance, sentence in sorted(lost) if chance < CHANCE)

    def _lost_forms(self, row_count: int) -> Iterator[str]:
        for (what, form), count in self.forms.most_common():
            if count >= max(FEWEST, LEAST_OF_BATCH * row_count):
                yield f"all {count} rows whose {what} {form}, such as {self.examples[what, form]!r}"

    def _form(self, rule: str, name: str, text: str) -> Form | None:
        """Return how a text is written, where all that is written so is refused; else None."""
        if rule == "time":
            return _form_of_time(text, getattr(getattr(self.source, "time", None), "format", "iso"))
        column = self.source.columns.get(name)
        if column is None or column.personal != "no":
            return None
        if rule == "allowed" or (rule == "type" and column.type == "boolean"):
            return name, f"is {text.strip()!r}"
        return _form_of_number(name, column, text) if rule == "type" else None


def chance_at_most(count: int, total: int, share: float) -> float:
    """Return a bound of the chance that `count` or more of `total` rows are among a share of all rows.

    Examples
    --------
    >>> f"{chance_at_most(10, 10, 10 / 240):.0e}", chance_at_most(1, 10, 0.1), chance_at_most(0, 10, 0.1)
    ('2e-14', 1.0, 1.0)
    """
    own = count / total
    if own <= share:
        return 1.0
    beside = (1 - own) * math.log((1 - own) / (1 - share)) if own < 1 else 0.0
    return math.exp(-total * (own * math.log(own / share) + beside))


def _as_dict(counted: pa.StructArray) -> dict[Any, int]:
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def _named(what: str, value: Any) -> str:
    if what == WEEKDAY:
        return f"of a {WEEKDAYS[value]}"
    return f"of the hour {value:02d}" if what == HOUR else f"with {what} = {value!r}"


def _form_of_number(name: str, column: Column, text: str) -> Form | None:
    if column.type not in ("number", "integer") or not re.search(r"\d", text):
        return None
    return name, "is written like " + re.sub(r"\d+", "9", text.strip())


def _form_of_time(text: str, format: str) -> Form | None:
    """Return the part of a time that no time has, such as hour 24; of one in another format how it is written.

    Examples
    --------
    >>> _form_of_time("2024-03-01 24:00", "%Y-%m-%d %H:%M"), _form_of_time("2024-02-30", "%Y-%m-%d")
    (('time', 'has the hour 24'), None)
    >>> _form_of_time("2024-03-01T10:00:00", "%Y-%m-%dT%H:%M:%S.%f")
    ('time', 'is written like 9999-99-99T99:99:99')
    """
    pattern = ISO if format == "iso" else _pattern(format)
    match = re.fullmatch(pattern, text.strip())
    if match is None:
        shape = re.sub(r"\d", "9", text.strip())
        return ("time", f"is written like {shape}") if "9" in shape else None
    for directive, part in match.groupdict().items():
        if part is not None and not _is_part(part, directive):
            return "time", f"has the {PARTS[directive][0]} {part}"
    return None


def _pattern(format: str) -> str:
    """Return a regular expression of the texts that a strptime format might read."""
    pattern, named = "", set()
    for directive, literal in re.findall(r"%(.)|([^%])", format):
        if literal or directive == "%":
            pattern += re.escape(literal or directive)
        elif directive in PARTS and directive not in named:
            named.add(directive)
            pattern += f"(?P<{directive}>{PARTS[directive][1]})"
        else:
            pattern += ".*"
    return pattern


def _is_part(part: str, directive: str) -> bool:
    try:
        datetime.strptime(part, f"%{directive}")
    except ValueError:
        return False
    return True
