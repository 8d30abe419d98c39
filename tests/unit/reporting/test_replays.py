"""What a replay tells: a table, a CSV and a page that needs nothing else."""

import csv
import io
import re
from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from include.monitoring.decide import Rules
from include.monitoring.matrix import Matrix, Model, Period
from include.monitoring.replay import price, walk
from include.monitoring.schedule import optima
from include.reporting.replay_page import DARK, LIGHT, chart, page, style_of
from include.reporting.replays import COLUMNS, Played, notes, table, to_csv
from include.spec.monitoring import POLICIES, Costs
from include.windows import Window

NAMES = ("never", "every_window", "default")


def history(step="month", count=7):
    """Give a history in which a model is the worse the older it is."""
    spans = list(Window.parse("2024-01-01", "2026-01-01").split(step))[:count]
    periods = tuple(Period(span, 60, 60 * place + 60, variation=9.0) for place, span in enumerate(spans))
    models = {
        (trained, "linear"): Model(np.ones(60), {p: np.full(60, 1.0 * p - trained) for p in range(trained + 1, count)})
        for trained in range(count - 1)
    }
    return Matrix(periods, models, lambda *_: "too few rows", lambda place, stood: (place, "linear"))


def played(matrix=None, simulated="", costs=None):
    matrix = matrix or history()
    rules = Rules(POLICIES["default"], costs or Costs(), 30, 1)
    walks = {name: walk(matrix, replace(rules, policy=POLICIES[name])) for name in NAMES}
    return Played(
        "plant", "mg/m3", "Each training refits linear.", matrix, price(matrix, rules), walks, optima(matrix), simulated
    )


def text_of(shown):
    console = Console(width=200, file=io.StringIO())
    console.print(shown)
    return console.file.getvalue()


def test_the_table_has_a_row_a_policy_and_one_for_the_best_of_each_size():
    lines = text_of(table(played())).splitlines()
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows][:3] == list(NAMES)
    assert sum(row[0].startswith("best of") for row in rows) == 6
    [cheapest] = [row for row in rows if row[0].endswith(", cheapest")]
    assert cheapest[7] == "0.00"
    every = rows[1]
    assert every[1:] == ["5", "0", "5", "1", "+0.0", "5.00", "0.00", "2024-02 to 2024-06"]
    assert rows[0][1:6] == ["0", "0", "0", "3.5", "+250.0"]


def test_costs_in_ones_own_unit_are_whole_and_told_with_it():
    own = played(costs=Costs(training=120, promotion=30, error=0.5, unit="MXN"))
    lines = text_of(table(own)).splitlines()
    assert "cost MXN" in lines[2]
    assert "regret MXN" in lines[2]
    every = next(line for line in lines if "every_window" in line)
    assert f"{0.5 * 6 * 60 + 5 * 150:,.2f}" in every
    told = " ".join(notes(own))
    assert "cost: 0.5 MXN for each mg/m3 of error in a row, 120 for a training and 30 for a promotion; regret" in told


def test_windows_that_are_no_months_are_told_by_their_first_day():
    told = text_of(table(played(history("week"))))
    assert "2024-01-08 to 2024-02-05" in told


def test_a_long_history_before_the_months_is_told_by_the_month_that_it_ends_with():
    matrix = history()
    long = replace(matrix.periods[0], window=Window.parse("2018-01-01", "2024-02-01"))
    told = next(notes(played(replace(matrix, periods=(long, *matrix.periods[1:])))))
    assert "The first training, after 2024-01, is everybody's" in told


def test_simulated_data_are_told_wherever_figures_are():
    found = played(simulated="SIMULATED sources: meter.")
    assert "SIMULATED" in text_of(table(found))
    assert list(notes(found))[-1] == "SIMULATED sources: meter."
    assert "SIMULATED" in page(found, table(found))
    assert {row["is_simulated"] for row in csv.DictReader(io.StringIO(to_csv(found)))} == {"True"}
    assert "SIMULATED" not in text_of(table(played())) + page(played(), table(played()))


def test_the_csv_has_a_row_a_policy_and_window():
    rows = list(csv.DictReader(io.StringIO(to_csv(played()))))
    assert len(rows) == 3 * 7
    assert tuple(rows[0]) == COLUMNS
    second = next(row for row in rows if row["policy"] == "every_window" and row["window_start_at"][:7] == "2024-03")
    assert (second["mae"], second["verdict"], second["outcome"]) == ("1", "retrain", "promoted")
    assert second["champion_trained_at"] == second["window_start_at"]
    assert second["reasons"] == "every window is a reason to train"


def test_the_page_needs_nothing_else_and_draws_each_policy():
    text = page(played(), table(played()))
    assert not re.search(r"<script|https?://|src=|href=|@import", text)
    [figure] = re.findall(r'<figure class="wide">(.*?)</figure>', text)
    drawing = ElementTree.fromstring(figure)  # noqa: S314 - our own
    assert len(drawing.findall("circle")) == sum(len(walk.trainings) for walk in played().walks.values())
    assert all(name in text for name in NAMES)
    titles = [dot.findtext("title") for dot in drawing.findall("circle")]
    assert any("trained after 2024-02: every window is a reason to train" in title for title in titles)


def luminance(colour):
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# What is left of red and green to people without the one or the other (Viénot, Brettel and Mollon 1999), of linear RGB.
EYES = {
    "without red": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "without green": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
    "with all": np.eye(3),
}


def apart(one, other, eye):
    """Give how far apart two colours are in sRGB, at most 442, as an eye sees them."""
    seen = []
    for colour in (one, other):
        linear = (np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255) ** 2.2
        seen.append(255 * np.clip(EYES[eye] @ linear, 0, 1) ** (1 / 2.2))
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(("colours", "paper", "ink"), [(LIGHT, "#fbfaf7", "#1c1f26"), (DARK, "#14171c", "#e8e6e0")])
def test_the_colours_of_policies_stand_out_from_the_paper_and_from_each_other(colours, paper, ink, eye):
    assert min(apart(*pair, eye) for pair in combinations([*colours, ink], 2)) > 50
    assert apart("#f0935a", "#ff8078", eye) < 50, "an orange and a red that are nearly the same"
    for colour in colours:
        low, high = sorted([luminance(colour), luminance(paper)])
        assert (high + 0.05) / (low + 0.05) > 3


def test_no_two_of_many_policies_have_the_same_colour_and_style():
    assert len({style_of(number) for number in range(36)}) == 36


def test_lines_that_lie_on_each_other_are_all_seen_and_trainings_have_a_row_a_policy():
    walks = played().walks
    names = ("one", "two", "three", "four")
    same = replace(played(), walks=dict.fromkeys(names, walks["every_window"]))
    drawing = ElementTree.fromstring(chart(same))  # noqa: S314 - our own
    lines = [line for line in drawing.iter("polyline") if "policy" in line.attrib["stroke"]]
    solid = [float(line.attrib["stroke-width"]) for line in lines if "stroke-dasharray" not in line.attrib]
    assert len(lines) == 4
    assert all(above < below for below, above in pairwise(solid)), "a wide line shows beside a narrow one"
    assert all("stroke-dasharray" in line.attrib for line in lines[len(solid) :]), "and between the dashes"
    rows = {float(dot.attrib["cy"]) for dot in drawing.findall("circle")}
    assert len(rows) == 4
    assert max(rows) < float(drawing.attrib["viewBox"].split()[3])
    assert [text.text for text in drawing.findall("text")][-4:] == list(names)


def test_what_somebody_called_a_policy_is_shown_as_text():
    found = played()
    named = replace(found, walks={"<b>mine": found.walks["default"]})
    assert "<b>mine" not in page(named, table(named))
    assert "<b>mine" in text_of(table(named))


@pytest.mark.parametrize("word", ["first training", "regret", "Probes are refits"])
def test_the_notes_say_what_the_words_mean(word):
    assert any(word in line for line in notes(played()))
