"""``ciclo inspect`` as people call it: the draft on standard output, the evidence on standard error."""

import os
import subprocess
import sys
from pathlib import Path

from include.spec.lines import read
from include.spec.load import load
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
UCI = ROOT / "tests" / "sources" / "fixtures" / "uci_slice_with_blank_tail.csv"


def ciclo(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return forked.run("include.commands.cli", *arguments, env=os.environ | variables)


def test_the_draft_can_be_redirected_into_a_file_and_people_still_read_the_evidence() -> None:
    done = ciclo("inspect", str(UCI))
    assert done.returncode == 0
    [source] = read(done.stdout).data["sources"].values()
    assert source["time"]["columns"] == ["Date", "Time"]
    assert source["columns"]["nmhc_gt"]["missing"] == ["-200"]
    assert "day first: " in done.stderr
    assert "sources:" not in done.stderr


def test_a_file_that_is_none_ends_in_one_line_without_a_traceback(tmp_path: Path) -> None:
    for path, expected in ((tmp_path / "none.csv", "No such file"), (tmp_path, "is a folder")):
        done = ciclo("inspect", str(path))
        assert done.returncode == 1
        assert done.stdout == ""
        assert expected in done.stderr
        assert "Traceback" not in done.stderr


def test_one_command_writes_a_pipeline_that_reads_the_file_and_never_over_another(tmp_path: Path) -> None:
    places = {"CICLO_PIPELINES": str(tmp_path / "pipelines"), "CICLO_VAR": str(tmp_path / "var")}
    arguments = ("inspect", str(UCI), "--pipeline", "air", "--target", "CO(GT)")
    done = ciclo(*arguments, **places)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "pipelines" / "air" / "pipeline.yaml"
    assert load(written).target.column == "co_gt"
    assert (tmp_path / "var" / "files" / UCI.name).read_bytes() == UCI.read_bytes()
    before = written.read_text()
    again = ciclo(*arguments, **places)
    assert (again.returncode, written.read_text()) == (1, before)
    assert "is there already: choose another name" in again.stderr


def test_the_tutorials_file_gets_a_pipeline_whose_level_has_bounds(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    blocks = [block.split("\n```")[0] for block in text.split("\n```\n")[1::2]]
    folder = tmp_path / "pipelines"
    places = {"CICLO_PIPELINES": str(folder), "CICLO_VAR": str(tmp_path / "var")}
    places |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for block in blocks[:3]:  # the file, the draft, its bounds
        command = block.replace("/tmp", str(tmp_path)).replace("include/pipelines", str(folder))  # noqa: S108
        command = command.replace(".venv/bin/ciclo", "python -m include.commands.cli").replace(".venv/bin/", "")
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=os.environ | places, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    [source] = load(folder / "harbour" / "pipeline.yaml").sources.values()
    assert (source.columns["level_cm"].min, source.columns["level_cm"].max) == (300, 800)
