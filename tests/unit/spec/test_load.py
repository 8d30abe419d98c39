"""Files and folders: what `load` and `load_all` read, refuse and promise."""

import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import get_args

import pytest

from include.errors import ConfigError
from include.spec.candidates import Candidate
from include.spec.load import ROOT, load, load_all, parse

MINIMAL = Path(__file__).with_name("minimal.yaml").read_text("utf-8")


def write(folder: Path, pipeline: str, text: str = MINIMAL, file: str = "pipeline.yaml") -> Path:
    path = folder / pipeline / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("pipeline: peso", f"pipeline: {pipeline}"), encoding="utf-8")
    return path


def test_the_shipped_pipelines_load_sorted_by_name() -> None:
    pipelines = load_all()
    assert list(pipelines) == sorted(pipelines)
    assert {"air_quality", "usdmxn"} <= set(pipelines)
    assert all(pipeline.pipeline == name for name, pipeline in pipelines.items())


def test_a_loaded_pipeline_has_its_types_and_defaults(tmp_path: Path) -> None:
    pipeline = load(write(tmp_path, "peso"))
    assert pipeline.main == "fix"
    assert pipeline.zone.key == "UTC", "the zone in which the main source writes its dates"
    assert pipeline.table("fix") == "peso"
    assert pipeline.feature_names() == ["fix_mxn", "fix_mxn_diff_1", "fix_mxn_diff_5"]
    assert pipeline.promotion.metric == "mae"
    assert pipeline.sources["fix"].columns["fix_mxn"].completeness == 0.8


@pytest.mark.parametrize(
    ("format_", "zone", "starts"),
    [
        ("%Y-%m-%d", "Europe/Rome", ["12-31T23:00", "01-31T23:00", "02-28T23:00", "03-31T22:00"]),
        ("%Y-%m-%d %H:%M", "Europe/Rome", ["01-01T06:00", "02-01T06:00", "03-01T06:00", "04-01T06:00"]),
    ],
)
def test_days_begin_where_the_main_source_writes_dates_else_where_the_schedule_is(
    tmp_path: Path, format_: str, zone: str, starts: list[str]
) -> None:
    head, source = MINIMAL.split("    kind: banxico\n")
    rest = source[source.index("    columns:") :].replace("from: SF43718", "from: fix")
    time = f'    time: {{columns: [day], format: "{format_}", timezone: {zone}}}\n'
    text = head + "    kind: csv_file\n    main: true\n    connection: files\n    title: A file\n    path: /fix.csv\n"
    pipeline = load(write(tmp_path, "peso", text + time + rest))
    windows = pipeline.replay.windows(pipeline.zone)
    bounds = [*(window.start for window in windows), windows[-1].end]
    assert [f"{at:%m-%dT%H:%M}" for at in bounds] == starts


@pytest.mark.parametrize(
    ("time", "zone"),
    [
        ('{from: [day], format: "%Y-%m-%d", timezone: Asia/Tokyo}', "Asia/Tokyo"),
        ('{from: [day], format: "%Y-%m-%d"}', "UTC"),
        ("{from: [day], timezone: Asia/Tokyo}", "Asia/Tokyo"),
        ("{from: [day]}", "America/Mexico_City"),
        ('{from: [day], format: "%Y-%m-%d %H:%M", timezone: Asia/Tokyo}', "America/Mexico_City"),
        ("{from: [day], format: unix_seconds, timezone: Asia/Tokyo}", "America/Mexico_City"),
    ],
)
def test_days_begin_where_an_api_writes_dates(tmp_path: Path, time: str, zone: str) -> None:
    head, source = MINIMAL.split("    kind: banxico\n")
    rest = source[source.index("    columns:") :].replace("from: SF43718", "from: fix")
    api = "    kind: http_json\n    main: true\n    connection: api\n    title: An API\n    path: /fix\n"
    assert load(write(tmp_path, "peso", f"{head}{api}    time: {time}\n{rest}")).zone.key == zone


def test_history_is_the_first_window_of_the_replay(tmp_path: Path) -> None:
    text = MINIMAL.replace("{start: 2025-01-01", "{history: [2018-01-01, 2025-01-01], start: 2025-01-01")
    windows = load(write(tmp_path, "peso", text)).replay.windows(UTC)
    assert str(windows[0]) == "2018-01-01..2025-01-01"
    assert windows[0].end == windows[1].start


def test_a_pipeline_knows_the_line_of_its_fields(tmp_path: Path) -> None:
    path = write(tmp_path, "peso")
    line = MINIMAL[: MINIMAL.index("unit:")].count("\n") + 1
    assert load(path).where("sources", "fix", "columns", "fix_mxn", "unit") == f"{path}:{line}"


def test_files_below_the_repository_are_named_from_its_root() -> None:
    assert load_all()["usdmxn"].where("pipeline").startswith("include/pipelines/usdmxn/pipeline.yaml:")


def test_a_folder_that_is_not_called_like_the_pipeline_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "euro", MINIMAL.replace("pipeline: peso", "pipeline: dollar"))
    with pytest.raises(ConfigError, match=r"pipeline.yaml:2: pipeline: 'dollar' is not .* folder 'euro'; rename one"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: cannot be read \(No such file .*\); create it"):
        load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(MINIMAL.encode("latin-1"))
    line = MINIMAL[: MINIMAL.index("é")].count("\n") + 1
    with pytest.raises(ConfigError, match=rf"latin.yaml:{line}: is not UTF-8 here; save the file as UTF-8"):
        load(path)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(MINIMAL.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load(path).pipeline == "peso"


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "one", MINIMAL.replace("unit:", "unti:"))
    write(tmp_path, "two", MINIMAL.replace("tier_3", "tier_4"))
    write(tmp_path, "three")
    with pytest.raises(ConfigError) as error:
        load_all(tmp_path)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "sources.fix.columns.fix_mxn.unti",
        "impact",
    ]


def test_a_file_with_the_wrong_ending_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "peso", file="pipeline.yml")
    with pytest.raises(ConfigError, match=r"pipeline.yml: has the wrong ending; rename it to pipeline.yaml"):
        load_all(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pipelines: is not a folder; create it"):
        load_all(tmp_path / "pipelines")


def test_two_pipelines_cannot_share_a_table(tmp_path: Path) -> None:
    other = MINIMAL[MINIMAL.index("  fix:\n") : MINIMAL.index("features:")].replace("  fix:", "  rates:")
    write(tmp_path, "peso", MINIMAL.replace("features:", other.replace("    main: true\n", "") + "features:", 1))
    write(tmp_path, "peso_rates")
    with pytest.raises(ConfigError, match=r"yaml:\d+: sources.fix: its table core.peso_rates .* 'peso'; rename one"):
        load_all(tmp_path)


def test_neither_pandas_nor_airflow_is_imported_to_load_the_pipelines() -> None:
    code = (
        "import sys; from include.spec.load import load_all; load_all(); "
        "print(sorted({'pandas', 'numpy', 'airflow', 'mlflow', 'sqlalchemy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def kinds_without(text: str) -> set[str]:
    """Return the kinds of candidates that are registered and not in a pipeline's text."""
    registered = {get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(Candidate)[0])}
    return registered - {one.kind for one in parse(text, "pipeline.yaml").training.candidates.values()}


def test_every_kind_of_candidate_is_in_the_file_that_holds_every_kind() -> None:
    text = Path(__file__).with_name("every_kind.yaml").read_text("utf-8")
    assert kinds_without(text) == set()
    without = "".join(line for line in text.splitlines(keepends=True) if "kind: stacking" not in line)
    assert kinds_without(without) == {"stacking"}
