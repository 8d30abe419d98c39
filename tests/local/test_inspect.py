"""``ciclo inspect`` as people call it: the draft on standard output, the evidence on standard error."""

import subprocess
import sys
from pathlib import Path

from include.spec.lines import read

ROOT = Path(__file__).resolve().parents[2]
UCI = ROOT / "tests" / "sources" / "fixtures" / "uci_slice_with_blank_tail.csv"


def ciclo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "include.commands.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


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
