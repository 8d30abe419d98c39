"""The gate through the steps of a training: what must not be promoted is not, and the ledger says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from include.features.table import refresh
from include.promotion.decide import Opponent
from include.promotion.held_out import Challenge
from include.promotion.proof import compare
from include.quality.data_docs.files import page_of_run
from include.registry import golden
from include.registry.artifacts import load_file
from include.registry.mlflow_registry import CHAMPION, by_alias, by_number, load
from include.reporting.training_page import draw_report
from include.settings import settings
from include.spec.behaviour import Direction, Invariance, MinimumFunction
from include.spec.learning import Minimums
from include.spec.load import parse
from include.steps import train
from include.steps.gate import judge
from include.steps.snapshot import take_snapshot
from include.windows import Window
from tests.model.conftest import FIRST, PLANT, SECOND

FROM_NOTHING = golden.COMMAND  # not yet that of the forks
RULES = {"better than the champion", "no leak", "beats naive", "answers"}


def last_decision(world):
    return world.rows(
        "select verdict, reasons, evidence from ml.decision where pipeline = '{name}' order by decision_id"
    )[-1]


def rejection(world):
    """Return the decision on the challenger, where the naive model came to serve in its stead."""
    challenger, naive = world.rows("select * from ml.decision where pipeline = '{name}' order by decision_id")
    assert (challenger.verdict, challenger.model_version) == ("reject", 1)
    assert (naive.verdict, naive.model_version) == ("promote", 2)
    return challenger


def by_rule(decision):
    return {check["rule"]: check for check in decision.evidence["rules"]}


def with_spec(world, **blocks):
    """Give a world's spec other values in some of its blocks; a block that is no mapping is replaced."""
    for block, values in blocks.items():
        own = getattr(world.spec, block)
        new = own.model_copy(update=values) if isinstance(values, dict) else values
        world.spec = world.spec.model_copy(update={block: new})
    return world


@pytest.fixture
def from_nothing(monkeypatch):
    """Let golden rows be answered as in production, by a process that begins with nothing."""
    monkeypatch.setattr(golden, "COMMAND", FROM_NOTHING)


def test_an_honest_challenger_passes_every_rule_that_the_spec_asks_for(loaded, from_nothing):
    tests = (
        Direction(kind="direction", feature="first_sensor", never="lowers"),
        MinimumFunction(kind="minimum_function"),
    )
    with_spec(loaded, behaviour=tests, promotion={"minimums": Minimums(r2=0.5, mae=1), "slice_max_loss_pct": 10})
    assert loaded.train("first", FIRST)["verdict"] == "promote"
    decision = last_decision(loaded)
    rules = by_rule(decision)
    assert set(rules) == RULES | {"minimums", "behaviour", "no slice worse"}
    assert {check["status"] for check in rules.values()} == {"passed"}
    assert rules["answers"]["text"] == "answers 50 golden rows identically in a clean process, within 250 ms each"
    version = by_alias(loaded.spec.pipeline, CHAMPION)
    kept = golden.read(version)
    assert kept["features"] == loaded.spec.feature_names()
    assert golden.compare(load(version), kept) == {"rows": 50, "differing": 0, "largest": 0.0}
    weights = json.loads(version.tags["importance"])
    assert next(iter(weights)) == "first_sensor"
    assert decision.evidence["importance"] == weights
    assert float(version.tags["latency_ms"]) > 0
    assert decision.evidence["report"] == f"runs:/{version.run_id}/report.html"


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (lambda rows: rows["co_mg_m3"] * 2 + 5, "leak: second_sensor explains 100.00 % of the target's change"),
        (lambda rows: rows["co_mg_m3"].shift(-1, fill_value=0.0), "explains 100.00 % of the target's step 1 row later"),
    ],
)
def test_a_planted_leak_is_rejected_though_it_is_by_far_the_best(plant_world, readings, planted, told):
    rows = readings(FIRST)
    plant_world.load(FIRST, rows.assign(second_sensor=planted(rows)))
    assert plant_world.train("first", FIRST)["rejected"]["verdict"] == "reject"
    assert told in rejection(plant_world).reasons[-1]
    champion = by_alias(plant_world.spec.pipeline, CHAMPION)
    assert (champion.number, champion.tags["candidate"]) == (2, "naive")
    decision = last_decision(plant_world)
    assert decision.reasons[0].startswith("the challenger was rejected: ")
    assert told in decision.reasons[0]
    assert decision.reasons[0].endswith("; the naive model serves when nothing else does")
    assert decision.reasons[1].startswith("answers 50 golden rows identically")
    assert {rule["rule"] for rule in decision.evidence["rejected"]} == RULES
    assert [row.version for row in plant_world.rows("select version from ml.live_at('{name}', now())")] == [2]


def test_a_better_mean_with_a_worse_slice_is_rejected(trained, readings):
    """The plant changes by day, and at night the old relation stands: the new model gives up the nights."""
    with_spec(trained, promotion={"slice_max_loss_pct": 10}, monitoring={"slices": ("is_night",)})
    run = trained.run("train", "second", FIRST, force=True)
    snapshot = take_snapshot(run)
    parts = train.parts_of(run, snapshot)
    holdout = parts.holdout.assign(is_night=(parts.holdout["hour_of_day"] < 8).astype(float))
    parts = type(parts)(parts.fit, holdout)
    version = by_number(trained.spec.pipeline, 1)
    actual, predicted = holdout["target"].to_numpy(), load(version).predict(holdout)
    off = np.where(holdout["is_night"] == 1, 0.3, 3.0) * (predicted - actual)
    champion = Opponent(predicted=actual + off)
    proof = compare(actual, predicted, actual + off, trained.spec.promotion)
    challenger = Challenge("linear", "", predicted, "naive", {"linear": proof})
    checks, _ = judge(trained.spec, parts, version, challenger, champion)
    [slices] = [check for check in checks if check.rule == "no slice worse"]
    assert abs(off).mean() > abs(predicted - actual).mean(), "the mean alone would promote it"
    assert slices.status == "failed"
    assert "mae at is_night=1 233.3 % larger than the champion's on 40 rows" in slices.text


def test_a_lucky_small_window_is_rejected(trained, readings):
    """The challenger errs less on the few rows held out, and by nothing but luck."""
    with_spec(trained, training={"split": trained.spec.training.split.model_copy(update={"holdout": "8 hours"})})
    trained.load(SECOND, readings(SECOND))
    assert trained.train("second", SECOND)["verdict"] == "reject"
    assert "too few" in last_decision(trained).reasons[-1] or "not proven better" in last_decision(trained).reasons[-1]


def test_where_naive_is_as_good_nobody_else_is_promoted(plant_world, readings):
    rows = readings(FIRST)
    hour = rows["valid_at"].dt.hour
    noise = np.random.default_rng(1).normal(0, 0.3, len(rows))
    plant_world.load(FIRST, rows.assign(co_mg_m3=np.cos(hour) + noise))
    assert plant_world.train("first", FIRST)["verdict"] == "promote"
    version = by_alias(plant_world.spec.pipeline, CHAMPION)
    assert version.tags["candidate"] == "naive"


def test_a_model_whose_bytes_were_changed_cannot_be_loaded_and_is_rejected(loaded, mlflow_folder, monkeypatch):
    def register_and_damage(pipeline, logged, tags):
        version = register(pipeline, logged, tags)
        [file] = mlflow_folder.glob(f"artifacts/**/{logged.model_id}/**/model.skops")
        file.write_bytes(file.read_bytes() + b"changed")
        return version

    from include.registry.mlflow_registry import register

    monkeypatch.setattr("include.registry.mlflow_registry.register", register_and_damage)
    assert loaded.train("first", FIRST)["verdict"] == "reject"
    assert by_alias(loaded.spec.pipeline, CHAMPION) is None, "the naive model's bytes were changed, too"
    decision, naive = loaded.rows("select * from ml.decision where pipeline = '{name}' order by decision_id")
    assert (naive.verdict, naive.model_version) == ("reject", 2)
    assert "it cannot be loaded: model" in naive.reasons[-1]
    assert by_rule(decision)["answers"]["status"] == "failed"
    assert "it cannot be loaded: model" in decision.reasons[-1]
    assert "the stored file is not the one that was registered" in decision.reasons[-1]


def test_bytes_that_were_changed_on_their_way_are_no_answer_of_the_clean_process(trained, from_nothing, tmp_path):
    version = by_alias(trained.spec.pipeline, CHAMPION)
    process = golden.start(version, str(tmp_path))
    assert golden.finish(process)["milliseconds"] > 0
    (tmp_path / "model.skops").write_bytes(b"changed")
    told = golden.main(str(tmp_path), version.tags["sha256"])
    assert told == {"failure": "the stored file is not the one that was registered", "is_judged": True}


def test_a_clean_process_that_was_killed_says_nothing_about_the_model(trained, from_nothing, tmp_path):
    process = golden.start(by_alias(trained.spec.pipeline, CHAMPION), str(tmp_path))
    process.kill()
    told = golden.finish(process)
    assert told["is_judged"] is False
    assert "its process ended with -9" in told["failure"]


def test_a_model_that_misbehaves_is_rejected_with_the_test_it_failed(loaded):
    with_spec(loaded, behaviour=(Invariance(kind="invariance", feature="first_sensor", at_most=0.01),))
    loaded.train("first", FIRST)
    assert rejection(loaded).reasons[-1].startswith("another value of first_sensor moves predictions by at most")


def test_minimums_stop_a_challenger_whoever_stands(loaded, readings):
    with_spec(loaded, promotion={"minimums": Minimums(mae=0.001)})
    loaded.train("first", FIRST)
    assert "is above promotion.minimums.mae = 0.001" in rejection(loaded).reasons[-1]


def test_a_naive_challenger_that_misses_a_minimum_serves_where_nothing_else_does_and_is_no_champion_otherwise(
    loaded, readings
):
    training = {"candidates": {"naive": loaded.spec.training.candidates["naive"]}}
    with_spec(loaded, training=training, promotion={"minimums": Minimums(mae=0.001)})
    assert loaded.train("first", FIRST)["verdict"] == "promote"
    [decision] = loaded.rows("select * from ml.decision where pipeline = '{name}'")
    assert "is above promotion.minimums.mae = 0.001; the naive model serves when" in decision.reasons[0]
    loaded.load(SECOND, readings(SECOND))
    assert loaded.train("second", SECOND)["verdict"] == "reject"
    assert by_alias(loaded.spec.pipeline, CHAMPION).number == 1


def test_where_a_person_approves_the_naive_model_waits_for_that_too(loaded):
    with_spec(loaded, promotion={"minimums": Minimums(mae=0.001), "approval": "manual"})
    decision = loaded.train("first", FIRST)
    assert (decision["verdict"], decision["version"], decision["rejected"]["version"]) == ("hold", 2, 1)
    assert last_decision(loaded).reasons[-1].startswith("waits for a person to approve it")
    assert by_alias(loaded.spec.pipeline, CHAMPION) is None


def test_done_again_a_training_that_fell_back_on_naive_comes_to_the_same_and_writes_nothing(loaded):
    with_spec(loaded, promotion={"minimums": Minimums(mae=0.001)})
    run = loaded.run("train", "first", FIRST)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in loaded.spec.training.candidates]
    decisions = []
    for _ in range(2):
        decisions.append(train.compare_and_decide(run, snapshot, fitted))
        assert train.apply_decision(run, decisions[-1])
    assert decisions[0] == decisions[1]
    rejection(loaded)
    draw_report(run, snapshot, decisions[0])
    [page] = (settings().var / "docs" / "training" / loaded.spec.pipeline).glob("*.html")
    assert "is above promotion.minimums.mae" in page.read_text("utf-8")
    assert load_file(by_number(loaded.spec.pipeline, 2), train.REPORT)


def test_judged_again_a_challenger_is_judged_the_same(loaded):
    """A task that is retried finds its decision and adds none: no figure of the gate depends on the clock."""
    run = loaded.run("train", "first", FIRST)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in loaded.spec.training.candidates]
    decisions = [train.compare_and_decide(run, snapshot, fitted)["decision_id"] for _ in range(2)]
    assert decisions[0] == decisions[1]


def test_the_same_bytes_are_not_tested_twice_unless_the_spec_is_another(trained, monkeypatch):
    def refuse(*_):
        raise AssertionError("tested again")

    first = last_decision(trained)
    with monkeypatch.context() as patch:
        patch.setattr(golden, "start", refuse)
        assert trained.train("second", FIRST, force=True)["version"] == 2
        second = last_decision(trained)
        assert by_rule(second)["answers"] == by_rule(first)["answers"]
        assert second.evidence["importance"] == first.evidence["importance"]
        with_spec(trained, promotion={"latency_ms": 200})
        with pytest.raises(AssertionError, match="tested again"):
            trained.train("third", FIRST, force=True)


def test_the_report_of_a_training_is_kept_with_its_run_and_linked_from_it(trained, readings):
    with_spec(trained, promotion={"protected": ("hour_of_day",), "slice_max_loss_pct": 10})
    trained.load(SECOND, readings(SECOND))
    run = trained.run("train", "second", SECOND)
    snapshot = take_snapshot(run)
    fitted = [train.fit_candidate(run, snapshot, name) for name in trained.spec.training.candidates]
    decision = train.compare_and_decide(run, snapshot, fitted)
    for _ in range(2):
        draw_report(run, snapshot, decision)
    name = page_of_run(Window.from_dict(decision), run.ref.dag_id, run.ref.run_id)
    page = settings().var / "docs" / "training" / trained.spec.pipeline / name
    text = page.read_text("utf-8")
    assert load_file(by_number(trained.spec.pipeline, decision["version"]), train.REPORT).decode() == text
    assert "Rejected" in text or "Held" in text or "Promoted" in text
    for told in (
        "champion, version 1",
        "naive",
        "first_sensor",
        "hour_of_day=7",
        "exact.",
        "swapped, predictions move",
    ):
        assert told in text, told
    assert text.count("<svg") == 3


def test_of_a_version_that_cannot_be_loaded_the_report_tells_the_rules(trained, mlflow_folder):
    version = by_alias(trained.spec.pipeline, CHAMPION)
    [file] = mlflow_folder.glob(f"artifacts/**/{version.tags['model_id']}/**/model.skops")
    file.write_bytes(b"changed")
    run = trained.run("train", "first", FIRST, force=True)
    [[decision_id]] = trained.rows("select max(decision_id) from ml.decision where pipeline = '{name}'")
    decision = {"decision_id": decision_id, "version": 1, **FIRST.to_dict()}
    draw_report(run, take_snapshot(run), decision)
    text = load_file(version, train.REPORT).decode()
    assert "Unknown: the registered model cannot be loaded." in text
    assert "no leak" in text


def without(spec, feature):
    """The plant's spec without a feature."""
    text = PLANT.replace("pipeline: plant", f"pipeline: {spec.pipeline}")
    text = text.replace(f"  - {{kind: value, column: {feature}}}\n", "")
    other = {"first_sensor": "second_sensor", "second_sensor": "first_sensor"}[feature]
    return parse(text.replace("features: [first_sensor]", f"features: [{other}]"), "pipeline.yaml")


def test_a_challenger_with_a_feature_less_is_compared_by_what_the_champion_was_trained_on(trained, readings):
    trained.load(SECOND, readings(SECOND))
    trained.spec = without(trained.spec, "first_sensor")
    refresh(trained.engine, trained.spec)
    decision = trained.train("less", SECOND)
    [row] = trained.rows("select evidence from ml.decision order by decision_id desc limit 1")
    assert decision["verdict"] == "reject"
    assert row.evidence["against_champion"]["gain_pct"] < -100


def test_a_champion_whose_features_nobody_makes_any_more_is_replaced_by_a_person_only(trained, readings):
    trained.load(SECOND, readings(SECOND))
    with trained.engine.begin() as connection:
        connection.exec_driver_sql(
            "update feature.set set filled_at = null where pipeline = %s", (trained.spec.pipeline,)
        )
    trained.spec = without(trained.spec, "second_sensor")
    refresh(trained.engine, trained.spec)
    decision = trained.train("other", SECOND)
    [row] = trained.rows("select reasons from ml.decision order by decision_id desc limit 1")
    assert decision["verdict"] == "hold"
    assert "pipeline.yaml no longer makes the features it was trained on; a person decides" in " ".join(row.reasons)


def test_a_model_of_another_target_is_never_proven_better(trained, readings):
    trained.load(SECOND, readings(SECOND))
    text = PLANT.replace("pipeline: plant", f"pipeline: {trained.spec.pipeline}").replace("horizon: 0", "horizon: 1")
    trained.spec = parse(text, "pipeline.yaml")
    refresh(trained.engine, trained.spec)
    decision = trained.train("ahead", SECOND)
    [row] = trained.rows("select reasons from ml.decision order by decision_id desc limit 1")
    assert decision["verdict"] == "hold"
    assert "another target: co_mg_m3, 0 rows ahead, and not co_mg_m3, 1 rows ahead" in " ".join(row.reasons)


def test_a_champion_that_cannot_be_loaded_is_replaced_by_whoever_passes_every_other_rule(
    trained, readings, mlflow_folder
):
    trained.load(SECOND, readings(SECOND))
    model_id = by_alias(trained.spec.pipeline, CHAMPION).tags["model_id"]
    [stored] = mlflow_folder.glob(f"artifacts/**/{model_id}/**/model.skops")
    stored.write_bytes(b"damaged")
    assert trained.train("second", SECOND)["verdict"] == "promote"
    row = last_decision(trained)
    assert "version 1 cannot be loaded" in next(
        rule["text"] for rule in row.evidence["rules"] if rule["rule"] == "better than the champion"
    )
    assert by_alias(trained.spec.pipeline, CHAMPION).number == 2
