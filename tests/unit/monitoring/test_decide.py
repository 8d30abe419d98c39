"""When the monitor asks for training, when for a person, when for neither, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.monitoring.decide import Rules, decide
from include.monitoring.history import Look, Probe
from include.monitoring.measure import Measure
from include.spec.monitoring import POLICIES, Costs, Policy
from include.windows import Window

PUBLISHED, DEFAULT = (Rules(POLICIES[name], Costs(), 72, 1000, ("co_sensor",)) for name in ("published", "default"))
SAME = Probe((1.0,) * 6, (1.0,) * 6)
BETTER = Probe((1.0,) * 6, (1.2,) * 6)


def month(number):
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(30 * number)
    return Window(start, start + timedelta(30))


def r2(value, rows=500, reason=""):
    return Measure("error", "prediction", "r2", value, "unknown" if value is None else "ok", reason, rows=rows)


def shift(pct, rows=500, feature="co_sensor", status="ok"):
    return Measure("covariate", feature, "mean_shift_pct", pct, status, rows=rows)


def look(number=0, *measures, **facts):
    told = {"rows": 700, "usable_rows": 5000, "fitted_rows": 5000, "champion": 3, "losses": (1.0,) * 6, "probe": SAME}
    told |= {"promised": (1.0,) * 9, "trained_at": month(0).start}
    return Look(month(number), measures=measures, **told | facts)


def judge(*measures, rules=PUBLISHED, **facts):
    return decide([look(0, *measures, **facts)], rules)


def test_without_a_champion_it_asks_for_one_once_there_are_enough_rows():
    few, enough = judge(champion=None, usable_rows=999), judge(champion=None, usable_rows=1000)
    assert (few.verdict, few.reasons) == ("hold", ["999 rows with a known target, training needs 1000"])
    assert (enough.verdict, enough.reasons) == ("retrain", ["there is no champion yet and 1000 rows to train on"])


@pytest.mark.parametrize("state", ["blocked", "empty", "overdue", "quarantined", "excluded"])
@pytest.mark.parametrize("rules", [PUBLISHED, DEFAULT])
def test_a_bad_window_is_a_matter_for_a_person_whatever_it_shows(state, rules):
    found = judge(
        r2(-5.0), shift(90), rules=rules, state=state, why="3 rows are negative", probe=BETTER, losses=(9.0,) * 30
    )
    assert (found.verdict, found.reasons) == ("investigate", ["3 rows are negative"])


def test_a_window_that_may_be_empty_holds():
    found = judge(state="quiet", why="the window is empty: a holiday", rules=DEFAULT, rows=0, losses=())
    assert (found.verdict, found.reasons) == ("hold", ["the window is empty: a holiday"])


def test_changed_inputs_ask_for_a_training_without_any_clause():
    found = judge(must="the inputs changed: 3 rows that we had misread were corrected", rules=DEFAULT)
    assert found.verdict == "retrain"
    assert found.evidence["cause"] == ["inputs"]


@pytest.mark.parametrize(("value", "verdict"), [(0.679, "retrain"), (0.68, "hold"), (0.9, "hold"), (None, "hold")])
def test_an_r2_below_the_limit_asks_for_training_and_one_at_the_limit_does_not(value, verdict):
    assert judge(r2(value), shift(0)).verdict == verdict


def test_an_error_on_few_rows_is_called_unknown():
    found = judge(r2(-5.0, rows=71), shift(0))
    assert found.verdict == "hold"
    assert found.reasons[0] == "R² of version 3 is unknown: fewer than 72 rows have met their truth"


@pytest.mark.parametrize(
    ("pct", "verdict"), [(10.0, "hold"), (10 + 1e-9, "hold"), (-10.0, "hold"), (10.1, "retrain"), (-10.1, "retrain")]
)
def test_a_shift_beyond_the_limit_asks_for_training_and_one_at_it_does_not(pct, verdict):
    assert judge(r2(0.9), shift(pct)).verdict == verdict


def test_a_shift_of_a_feature_that_is_not_watched_or_on_few_rows_is_none():
    assert judge(r2(0.9), shift(0), shift(90, feature="humidity")).verdict == "hold"
    assert judge(r2(0.9), shift(90, rows=72)).verdict == "retrain", "as few rows as are enough"
    found = judge(r2(0.9), shift(90, rows=71))
    assert (found.verdict, found.reasons[1]) == (
        "hold",
        "the means are unknown: the window has 700 rows, judging needs 72",
    )


def test_the_published_rule_says_where_its_shift_is_unreliable():
    found = judge(r2(0.9), shift(250, status="unknown"))
    assert found.verdict == "retrain", "the rule is kept as it is"
    assert "unreliable for co_sensor: near zero a per cent says nothing" in found.reasons[0]


def test_every_reason_is_named_with_its_figures():
    assert judge(r2(0.5), shift(12.3)).reasons == [
        "R² 0.500 of version 3 is below 0.68",
        "mean of co_sensor moved +12.3 % (allowed ±10 %)",
    ]


def test_k_of_n_windows_and_the_newest_are_needed():
    rules = replace(PUBLISHED, policy=Policy(r2_min=0.68, needed=2, among=3))
    low, high = r2(0.5), r2(0.9)
    verdict = {
        order: decide([look(at, measure) for at, measure in enumerate(order)], rules).verdict
        for order in [(high, high, low), (low, high, low), (low, low, high)]
    }
    assert list(verdict.values()) == ["hold", "retrain", "hold"]


def test_bad_windows_of_the_champion_before_do_not_count_against_the_next():
    rules = replace(PUBLISHED, policy=Policy(r2_min=0.68, needed=2, among=3))
    history = [look(0, r2(0.5), champion=1), look(1, r2(0.5), champion=1), look(2, r2(0.5), champion=2)]
    assert decide(history, rules).verdict == "hold"
    assert "(1 of the newest 3 windows, 2 are needed)" in decide(history, rules).reasons[0]
    assert decide([*history[1:], look(3, r2(0.5), champion=2)], rules).verdict == "retrain"


def test_never_holds_and_every_window_trains():
    bad = {"probe": BETTER, "losses": (9.0,) * 30}
    assert judge(r2(-9.0), rules=replace(PUBLISHED, policy=POLICIES["never"]), **bad).verdict == "hold"
    assert judge(rules=replace(PUBLISHED, policy=POLICIES["every_window"])).verdict == "retrain"


@pytest.mark.parametrize(("days", "verdict"), [("31 days", "hold"), ("30 days", "retrain")])
def test_a_schedule_trains_when_the_champions_data_are_old_enough(days, verdict):
    assert judge(rules=replace(PUBLISHED, policy=Policy(every=days))).verdict == verdict


def test_a_business_outcome_outside_its_limits_asks_for_training_if_the_policy_says_so():
    low = Measure("business", "operations.is_bank_rate", "mean", 0.3, "breach", "is 0.3, least is 0.5")
    rules = replace(PUBLISHED, policy=Policy(business=True))
    assert judge(low, rules=rules).reasons == ["is 0.3, least is 0.5"]
    assert judge(replace(low, status="ok", reason=""), rules=rules).verdict == "hold"
    assert "unknown" in judge(replace(low, status="unknown", value=None), rules=rules).reasons[0]


def test_by_default_equal_windows_hold_whatever_has_moved():
    moved = (shift(90), Measure("joint", "co_sensor", "shift", 9.0, "breach"))
    found = judge(*moved, r2(0.1), rules=DEFAULT)
    assert found.verdict == "hold"
    assert found.reasons[0].startswith("worth: a refit on newer data is no better")
    assert found.reasons[1].startswith("harm: ")


def test_by_default_newer_data_that_pay_ask_for_training_and_what_moved_explains_it():
    found = judge(Measure("joint", "co_sensor", "shift", 9.0, "breach"), rules=DEFAULT, probe=BETTER)
    assert found.verdict == "retrain"
    assert found.evidence["cause"] == ["worth"]
    assert found.reasons[-1] == "what moved: co_sensor"


@pytest.mark.parametrize(("losses", "verdict"), [((1.0,) * 6, "hold"), ((2.0,) * 30, "investigate")])
def test_what_moved_is_named_also_where_nothing_is_trained(losses, verdict):
    decision = judge(Measure("joint", "co_sensor", "shift", 9.0, "breach"), rules=DEFAULT, losses=losses)
    assert (decision.verdict, decision.reasons[-1]) == (verdict, "what moved: co_sensor")


def test_by_default_harm_asks_for_training_where_newer_data_help_and_for_a_person_where_they_do_not():
    worse = {"losses": (2.0,) * 30}
    assert judge(rules=DEFAULT, probe=None, unprobed="too few rows", **worse).evidence["cause"] == ["harm"]
    found = judge(rules=DEFAULT, **worse)
    assert found.verdict == "investigate"
    assert found.reasons[0].startswith(
        "the error is proven larger than promised, and newer data do not help its recipe"
    )


def test_windows_without_any_truth_in_a_row_are_a_matter_for_a_person():
    history = [look(number, losses=()) for number in range(3)]
    assert [decide(history[:count], DEFAULT).verdict for count in (1, 2, 3)] == ["hold", "hold", "investigate"]
    assert "nobody knows how well it does" in decide(history, DEFAULT).reasons[0]
    assert decide(history, DEFAULT).evidence["cause"] == ["unknown"]
    assert decide([look(0, losses=(), champion=None), *history[1:]], DEFAULT).verdict == "hold", "there was none before"


NOWHERE = {"losses": (), "probe": None, "unprobed": "no truth is newer than the champion"}


@pytest.mark.parametrize("name", ["never", "schedule", "published", "default"])
def test_whatever_the_policy_an_error_nobody_knows_is_a_matter_for_a_person_also_while_champions_change(name):
    history = [
        look(number, r2(None), champion=1 + number // 2, trained_at=month(number).start, **NOWHERE)
        for number in range(6)
    ]
    rules = replace(DEFAULT, policy=POLICIES[name])
    for count in range(3, 7):
        verdict = decide(history[:count], rules)
        assert (verdict.verdict, verdict.evidence["cause"]) == ("investigate", ["unknown"])


@pytest.mark.parametrize(
    ("rules", "facts", "measures"),
    [
        (DEFAULT, {"promised": (), "losses": (100.0,) * 6}, ()),
        (DEFAULT, {"promised": (), "probe": None, "unprobed": "too few"}, ()),
        (DEFAULT, {"losses": (1.0, float("nan"))}, ()),
        (DEFAULT, {"losses": (1.0, float("inf"))}, ()),
        (PUBLISHED, {}, (r2(None, reason="the truth does not vary"), shift(90, rows=71))),
    ],
    ids=["no promise and a model far off", "neither harm nor worth", "nan", "infinite", "neither R² nor means"],
)
def test_what_a_policy_cannot_judge_in_three_windows_is_a_matter_for_a_person(rules, facts, measures):
    history = [look(number, *measures, **facts) for number in range(3)]
    assert [decide(history[:count], rules).verdict for count in (1, 2, 3)] == ["hold", "hold", "investigate"]
    verdict = decide(history, rules)
    assert verdict.reasons[0] == "for 3 windows nobody could judge how well it does"
    assert any("unknown: " in reason for reason in verdict.reasons[1:]), "and why"


@pytest.mark.parametrize("name", ["never", "schedule", "published", "default"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_window_that_could_be_judged_ends_such_a_row(name, place):
    history = [look(number, r2(None), trained_at=month(9).start, **NOWHERE) for number in range(3)]
    rules = replace(DEFAULT, policy=POLICIES[name])
    assert decide(history, rules).verdict == "investigate"
    history[place] = look(place, r2(0.9), shift(0), trained_at=month(9).start)
    assert decide(history, rules).verdict == "hold"


@pytest.mark.parametrize("losses", [(), (1.0,) * 6])
def test_a_blocked_window_among_the_unknown_ones_is_known_only_where_the_policy_can_judge_it(losses):
    history = [look(0, state="blocked", losses=losses), look(1, r2(None), **NOWHERE), look(2, r2(None), **NOWHERE)]
    assert decide(history, PUBLISHED).verdict == "investigate"
    assert decide(history, DEFAULT).verdict == ("hold" if losses else "investigate"), "truth came all the same"


def test_a_policy_may_ask_nobody_however_long_nothing_is_known():
    history = [look(number, **NOWHERE) for number in range(9)]
    assert decide(history, replace(DEFAULT, policy=replace_policy(unknown=None))).verdict == "hold"


def test_a_holiday_ends_no_row_of_unknown_windows_and_is_none_of_them():
    holiday = look(1, state="quiet", losses=())
    history = [look(0, **NOWHERE), holiday, look(2, **NOWHERE)]
    assert decide(history, DEFAULT).verdict == "hold"
    assert decide([*history, look(3, **NOWHERE)], DEFAULT).verdict == "investigate"


def doubted(number, cause="harm", **facts):
    told = {"verdict": "investigate", "cause": (cause,), "losses": (2.0,) * 30}
    return look(number, **told | facts)


def test_a_doubt_that_lasts_says_since_when_and_for_how_many_windows():
    history = [look(0, verdict="hold"), doubted(1), doubted(2), look(3, losses=(2.0,) * 30)]
    verdict = decide(history, DEFAULT)
    assert (verdict.verdict, verdict.evidence["cause"], verdict.evidence["windows"]) == ("investigate", ["harm"], 3)
    assert verdict.reasons[0].endswith(" (harm since 2024-01-31, 3 windows)")
    blocked = decide([doubted(0, "blocked"), look(1, state="blocked", why="3 rows are negative")], DEFAULT)
    assert blocked.reasons == ["3 rows are negative (blocked since 2024-01-01, 2 windows)"]


@pytest.mark.parametrize(
    "before",
    [look(1, verdict="hold"), doubted(1, "blocked"), doubted(1, champion=2), doubted(1, verdict="retrain")],
    ids=["none", "another", "of another champion", "answered by a training"],
)
def test_a_doubt_is_new_after_a_window_without_it(before):
    verdict = decide([doubted(0), before, look(2, losses=(2.0,) * 40)], DEFAULT)
    assert (verdict.verdict, verdict.evidence["windows"]) == ("investigate", 1)
    assert "since" not in verdict.reasons[0]


@pytest.mark.parametrize("between", [look(1, state="quiet", losses=(), verdict="hold"), look(1, losses=())])
def test_a_holiday_or_a_window_nobody_decided_on_ends_no_doubt(between):
    assert decide([doubted(0), between, look(2, losses=(2.0,) * 30)], DEFAULT).evidence["windows"] == 2


def asked(number, outcome="", *measures, **facts):
    return look(number, *measures, verdict="retrain", outcome=outcome, **facts)


def test_rejected_challengers_break_the_circuit_and_a_promoted_one_closes_it_again():
    rejected = [asked(number, "rejected", probe=BETTER) for number in range(3)]
    found = decide([*rejected, look(3, probe=BETTER)], DEFAULT)
    assert found.verdict == "investigate"
    assert found.reasons[0] == "the last 3 challengers within a year were rejected: training again would not help"
    assert found.evidence["cause"] == ["rejected"]
    assert decide([*rejected[:2], look(3, probe=BETTER)], DEFAULT).verdict == "retrain"
    assert decide([*rejected, look(3, probe=BETTER, champion=4)], DEFAULT).verdict == "retrain"


def test_the_circuit_closes_for_a_gain_that_grows_with_each_challenger_that_was_rejected():
    def after(rejections, *gains):
        rejected = [asked(number, "rejected", probe=BETTER) for number in range(rejections)]
        since = [look(rejections + n, probe=Probe((1.0,) * 6, (1 + gain,) * 6)) for n, gain in enumerate(gains)]
        return decide([*rejected, *since], DEFAULT).verdict

    assert after(3, 0.39) == "investigate"
    assert after(3, 0.41) == after(3, 0.21, 0.21) == "retrain", "twice what was gained when the last was rejected"
    assert after(3, 0.21, -0.3, 0.21) == "investigate", "what was worse since is taken off"
    assert after(4, 0.41) == after(4, 0.79) == "investigate"
    assert after(4, 0.81) == after(4, 0.41, 0.41) == "retrain"
    assert after(5, 0.41, 0.41, 0.41) == "investigate"


def test_a_gain_after_a_training_that_had_none_asks_once_it_is_worth_twice_the_price():
    grown = asked(0, "rejected", cause=("worth",), usable_rows=10000, probe=SAME)
    facts = {"usable_rows": 10600, "fitted_rows": 5000}
    assert decide([grown, look(1, probe=Probe((1.0,) * 6, (1.09,) * 6), **facts)], DEFAULT).verdict == "hold"
    assert decide([grown, look(1, probe=Probe((1.0,) * 6, (1.11,) * 6), **facts)], DEFAULT).verdict == "retrain"


def test_the_circuit_closes_by_itself_after_a_year():
    rejected = [asked(number, "rejected", probe=BETTER) for number in range(3)]
    assert decide([*rejected, look(11, probe=BETTER)], DEFAULT).verdict == "investigate"
    assert decide([*rejected, look(37, probe=BETTER)], DEFAULT).verdict == "retrain"


def test_trainings_without_an_outcome_never_break_the_circuit_and_are_told():
    skipped = [asked(number) for number in range(5)]
    assert decide([*skipped, look(5, probe=BETTER)], DEFAULT).verdict == "retrain"
    rejected = [asked(number, "rejected", probe=BETTER) for number in range(5, 8)]
    told = decide([*skipped, *rejected, look(8, probe=BETTER)], DEFAULT).reasons[0]
    assert told == (
        "the last 3 challengers within a year were rejected (5 more trainings had no outcome, which counts for"
        " nothing): training again would not help"
    )


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("rejected", "its challenger was rejected"),
        ("promoted", "its challenger was promoted"),
        ("", "of which there is no outcome: it runs, failed or was skipped; look at it, and start it again"),
    ],
)
@pytest.mark.parametrize("limits", [{}, {"cooldown": 3, "monthly": 1}])
def test_a_window_that_has_led_to_a_training_asks_for_no_second_one_when_it_is_measured_again(outcome, told, limits):
    rules = replace(DEFAULT, policy=replace_policy(**limits))
    again = decide([look(0), asked(1, outcome, probe=BETTER, cause=("worth",), decision=12)], rules)
    assert again.verdict == "hold"
    assert again.reasons[0].startswith("this window has led to a training already (decision 12)")
    assert told in again.reasons[0]
    assert again.reasons[1].startswith("worth: a refit on newer data is 20.0 % better"), "the evidence is shown again"


@pytest.mark.parametrize(
    ("cause", "facts"), [("first", {"champion": None}), ("inputs", {"must": "the inputs changed: co_sensor is gone"})]
)
def test_nor_does_a_window_that_asked_for_a_training_without_any_clause(cause, facts):
    assert decide([look(0, **facts)], DEFAULT).verdict == "retrain"
    again = decide([asked(0, cause=(cause,), **facts)], DEFAULT)
    assert (again.verdict, again.reasons[0][:46]) == ("hold", "this window has led to a training already, of ")


def test_a_window_whose_evidence_changed_in_kind_may_ask_again_as_often_as_the_governor_lets_it():
    changed = [asked(0, "rejected", cause=("worth",), probe=None, unprobed="too few rows", losses=(2.0,) * 30)]
    assert decide(changed, DEFAULT).evidence["cause"] == ["harm"]
    assert decide(changed, DEFAULT).verdict == "retrain"
    assert decide(changed, replace(DEFAULT, policy=replace_policy(cooldown=1))).verdict == "hold"
    assert decide(changed, replace(DEFAULT, policy=replace_policy(monthly=1))).verdict == "hold"


def again(**facts):
    """Decide a window after a challenger was rejected that 400 new rows and a gain of 20 % had asked for."""
    before = asked(0, "rejected", cause=("worth",), usable_rows=5400, probe=BETTER)
    return decide([before, look(1, **{"usable_rows": 5799, "probe": BETTER} | facts)], DEFAULT)


def test_a_rejected_cause_asks_for_no_second_training_of_the_same_champion_before_something_is_new():
    assert again().verdict == "hold"
    assert again().reasons[0] == (
        "a training because of worth was rejected on 2024-01-31: the same asks again with 2 times the rows that were"
        " new to the champion then (400), or once 2 times the gain of then was missed since"
    )
    assert again(usable_rows=5800).verdict == "retrain", "twice the new rows"
    assert again(probe=Probe((1.0,) * 6, (1.41,) * 6)).verdict == "retrain", "twice the gain"
    assert again(probe=Probe((1.0,) * 6, (1.39,) * 6)).verdict == "hold"
    assert again(champion=4).verdict == "retrain", "another champion"
    assert again(losses=(2.0,) * 30).verdict == "retrain", "harm is another cause, proven by what came since"


def test_proven_harm_asks_again_for_its_evidence_is_of_the_time_since():
    facts = {"losses": (2.0,) * 30, "probe": None, "unprobed": "too few rows"}
    before = asked(0, "rejected", cause=("harm",), **facts)
    assert decide([before, look(1, **facts)], DEFAULT).verdict == "retrain"
    assert decide([before, look(1, **facts | {"losses": (2.0,) * 2})], DEFAULT).verdict == "hold"


def test_the_same_features_ask_for_no_second_training_and_others_do():
    before = asked(0, "rejected", r2(0.9), shift(20), cause=("co_sensor",))
    rules = replace(PUBLISHED, watched=())
    assert decide([before, look(1, r2(0.9), shift(20))], rules).verdict == "hold"
    assert decide([before, look(1, r2(0.9), shift(20), shift(20, feature="nox"))], rules).verdict == "retrain"
    assert decide([before, look(1, r2(0.5), shift(0))], rules).verdict == "retrain"


@pytest.mark.parametrize("policy", [Policy(every="30 days"), Policy(every_window=True)])
def test_time_is_always_new(policy):
    before = asked(0, "rejected", cause=("age",) if policy.every else ("schedule",))
    assert decide([before, look(1)], replace(DEFAULT, policy=policy)).verdict == "retrain"


def test_a_cooldown_and_a_monthly_limit_are_kept():
    cool = replace(DEFAULT, policy=replace_policy(cooldown=1))
    assert decide([asked(0), look(1, probe=BETTER)], cool).verdict == "hold"
    assert decide([asked(0), look(1), look(2, probe=BETTER)], cool).verdict == "retrain"
    few = replace(DEFAULT, policy=replace_policy(monthly=1))
    same = Window(month(0).start, month(0).end + timedelta(days=1))
    found = decide([asked(0), replace(look(0, probe=BETTER), window=same)], few)
    assert (found.verdict, found.reasons[0]) == ("hold", "1 trainings were asked for in 30 days, 1 are allowed")
    assert decide([asked(0), look(1, probe=BETTER)], few).verdict == "retrain"


def replace_policy(**changes):
    return POLICIES["default"].model_copy(update=changes)


def test_without_a_window_there_is_nothing_to_decide():
    with pytest.raises(ValueError, match="there is no window to decide on"):
        decide([], DEFAULT)


@pytest.mark.parametrize("rules", [PUBLISHED, DEFAULT])
def test_slices_that_moved_or_are_biased_apart_change_no_decision(rules):
    sliced = [
        replace(shift(90, status="breach"), statistic=statistic, slice="hour_of_day=8")
        for statistic in ("mean_shift_sd", "mean_shift_pct", "row_share")
    ]
    apart = Measure("bias", "hour_of_day", "between_slices", 9.0, "breach", "far", 0.0, 0.1)
    plain = r2(0.9), shift(1)
    assert judge(*plain, *sliced, apart, rules=rules) == judge(*plain, rules=rules)
    assert judge(*sliced, apart, *plain, rules=rules) == judge(*plain, rules=rules)
