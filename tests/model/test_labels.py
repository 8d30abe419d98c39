"""The monitor asks people about doubtful rows, and a form of the web UI takes their answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.errors import ConfigError
from include.spec.monitoring import Label
from include.steps import label, score
from tests.model.conftest import FIRST, SECOND

REQUESTS = "select * from ops.label_request where pipeline = '{name}' order by doubt desc"
ODD = SECOND.start + timedelta(hours=50)


@pytest.fixture
def asking(trained, readings):
    """People are asked for two rows of each window; the second window is scored and has one wild value."""
    own = trained.spec.monitoring.model_copy(update={"label": Label(rows=2)})
    trained.spec = trained.spec.model_copy(update={"monitoring": own})
    rows = readings(SECOND)
    rows.loc[rows["valid_at"] == ODD, "co_mg_m3"] = 99.0
    trained.load(SECOND, rows)
    score.predict(trained.run("score", "s2", SECOND))
    return trained


def test_the_most_surprising_rows_of_a_window_wait_for_a_person_and_again_asks_for_no_more(asking):
    run = asking.run("monitor", "m2", SECOND)
    assert label.request_labels(run) == 2
    assert label.request_labels(run) == 0
    first, second = asking.rows(REQUESTS)
    assert (first.valid_at, first.why, first.actual, first.model_version) == (ODD, "surprising", 99.0, 1)
    assert first.doubt > second.doubt > 1
    assert first.lower_bound < first.predicted < first.upper_bound
    assert (first.run_id, first.answered_at, first.value) == ("m2", None, None)


def test_a_row_that_somebody_excluded_needs_no_answer(asking):
    with asking.engine.begin() as connection:
        connection.exec_driver_sql("select ops.flag(%s, %s, 'analyst', 'misprint')", (asking.spec.pipeline, ODD))
    label.request_labels(asking.run("monitor", "m2", SECOND))
    assert ODD not in {row.valid_at for row in asking.rows(REQUESTS)}


def test_without_labels_or_without_a_champion_nobody_is_asked(loaded):
    assert label.request_labels(loaded.run("monitor", "m1", FIRST)) == 0
    own = loaded.spec.monitoring.model_copy(update={"label": Label(rows=2)})
    loaded.spec = loaded.spec.model_copy(update={"monitoring": own})
    assert label.request_labels(loaded.run("monitor", "m1", FIRST)) == 0


def test_the_form_stores_the_answer_with_the_user_of_the_web_ui_and_the_log_says_what(asking, caplog):
    caplog.set_level("INFO")
    label.request_labels(asking.run("monitor", "m2", SECOND))
    [wild, _] = asking.rows(REQUESTS)
    label.store_label(asking.run("label", "l1", request=wild.request_id, value=3.5, reason="misprint"), "ada")
    [row, _] = asking.rows(REQUESTS)
    assert (row.value, row.reason, row.answered_by) == (3.5, "misprint", "ada")
    assert f"stored: request {wild.request_id}, row  {ODD}: 3.5 by ada" in caplog.text


def test_the_form_refuses_what_the_database_refuses_and_the_requests_of_others(asking):
    columns = asking.spec.sources["meter"].columns
    columns["co_mg_m3"] = columns["co_mg_m3"].model_copy(update={"max": 50.0})
    label.request_labels(asking.run("monitor", "m2", SECOND))
    number = asking.rows(REQUESTS)[0].request_id
    with pytest.raises(ConfigError, match="there is no request 999999"):
        label.store_label(asking.run("label", "l1", request=999999, value=1.0, reason="why"), "ada")
    with pytest.raises(ConfigError, match=r"does not take 50.5.*\n.*at most 50"):
        label.store_label(asking.run("label", "l1", request=number, value=50.5, reason="why"), "ada")
    with asking.engine.begin() as connection:
        connection.exec_driver_sql("update ops.label_request set pipeline = 'other' where request_id = %s", (number,))
    with pytest.raises(ConfigError, match=f"request {number} is none of {asking.spec.pipeline}"):
        label.store_label(asking.run("label", "l1", request=number, value=1.0, reason="why"), "ada")
    assert asking.rows("select answered_at from ops.label_request where answered_at is not null") == []
