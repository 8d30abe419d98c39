"""Alert rules do what they say, by Prometheus's own tool, and no rule or panel asks for a metric that nobody gives."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from include.telemetry.metrics import FAMILIES, RUNS

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy" / "prometheus"
SERVICE = (ROOT / "include" / "serving" / "metrics.py").read_text(encoding="utf-8")
GIVEN = {family.name for family in (*FAMILIES, *RUNS)} | {"ciclo_health", "ciclo_rows", "ciclo_unreadable"}
GIVEN |= set(re.findall(r'"(ciclo_[a-z_]+)"', SERVICE))


def unknown_metrics(expression: str) -> set[str]:
    """Return the metrics of ours that an expression asks for and nobody gives."""
    wanted = set(re.findall(r"\bciclo_[a-z_]+", re.sub(r'"[^"]*"', "", expression)))
    return {name for name in wanted if not {name, re.sub(r"_(bucket|count|sum)$", "", name)} & GIVEN}


def expressions() -> list[str]:
    rules = yaml.safe_load((RULES / "rules.yaml").read_text(encoding="utf-8"))
    boards = [json.loads(path.read_text("utf-8")) for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")]
    own = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    return own + [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]


def test_every_metric_that_is_asked_for_is_given() -> None:
    assert len(expressions()) > 20
    assert {name for expression in expressions() for name in unknown_metrics(expression)} == set()


def test_a_metric_that_nobody_gives_is_caught() -> None:
    assert unknown_metrics('rate(ciclo_wishes_total{pipeline="ciclo_no"}[5m])') == {"ciclo_wishes_total"}


def test_every_rule_names_a_runbook_that_is_there() -> None:
    rules = yaml.safe_load((RULES / "rules.yaml").read_text(encoding="utf-8"))
    pages = [rule["annotations"]["runbook"] for group in rules["groups"] for rule in group["rules"]]
    assert [page for page in pages if not (ROOT / page).is_file()] == []


@pytest.fixture
def promtool() -> str:
    path = shutil.which("promtool")
    if path is None:
        assert not os.environ.get("CI"), "promtool is missing: .ci/run installs it"
        pytest.xfail("promtool is not here (Debian's package prometheus): the alert rules were not tried")
    return path


def test_the_rules_alert_as_their_tests_say(promtool: str) -> None:
    done = subprocess.run([promtool, "test", "rules", "rules_test.yaml"], cwd=RULES, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_never_alerts_is_caught(promtool: str, tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "rules")
    file = tmp_path / "rules" / "rules.yaml"
    file.write_text(file.read_text("utf-8").replace("(ciclo_health) == 3", "(ciclo_health) == 4"))
    command = [promtool, "test", "rules", "rules_test.yaml"]
    assert subprocess.run(command, cwd=file.parent, capture_output=True).returncode != 0
