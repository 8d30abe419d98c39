"""The generated pages are current, complete and true; a stale one is noticed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from include.spec.__main__ import main
from include.spec.lines import read
from include.spec.load import ROOT, parse
from include.spec.pages import pages
from include.spec.schema import json_schema

EXAMPLES = [*ROOT.glob("include/pipelines/*/pipeline.yaml"), *Path(__file__).parent.glob("*.yaml")]


def mappings() -> Iterator[tuple[str, dict[str, Any]]]:
    schema = json_schema()
    yield "Pipeline", schema
    yield from schema["$defs"].items()


def test_both_pages_are_current() -> None:
    assert main(["--check"]) == 0, "run `python -m include.spec`"


def test_a_stale_page_is_named_with_the_command_that_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([], root=tmp_path)
    assert main(["--check"], root=tmp_path) == 0
    page = tmp_path / "docs" / "pipeline-spec.md"
    page.write_text(page.read_text("utf-8").replace("`min_rows`", "`least_rows`"), encoding="utf-8")
    assert main(["--check"], root=tmp_path) == 1
    complaint = capsys.readouterr().err
    assert "docs/pipeline-spec.md: stale" in complaint
    assert "run `python -m include.spec`" in complaint
    assert "schema.json" not in complaint


def test_a_missing_page_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], root=tmp_path) == 1
    complaints = capsys.readouterr().err.splitlines()
    assert [line.partition(": stale")[0].rpartition("/docs/")[2] for line in complaints] == [
        "pipeline.schema.json",
        "pipeline-spec.md",
    ]


def test_writing_the_pages_mends_them_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    assert main([], root=tmp_path) == 0
    first = {name: (tmp_path / name).read_bytes() for name in pages()}
    assert main([], root=tmp_path) == 0
    assert {name: (tmp_path / name).read_bytes() for name in pages()} == first
    assert main(["--check"], root=tmp_path) == 0


def test_the_check_runs_as_a_command() -> None:
    result = subprocess.run([sys.executable, "-m", "include.spec", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_reference_has_a_row_for_every_key() -> None:
    page = pages()["docs/pipeline-spec.md"]
    for name, mapping in mappings():
        for key in mapping["properties"]:
            assert f"\n| `{key}` |" in page, f"{name}.{key}"


def test_every_key_says_what_it_means() -> None:
    definitions = dict(mappings())
    for name, mapping in mappings():
        assert mapping["description"], name
        for key, field in mapping["properties"].items():
            meaning = field.get("description") or definitions[field["$ref"].rpartition("/")[2]]["description"]
            assert meaning, f"{name}.{key}"


def test_the_example_in_the_reference_loads() -> None:
    page = pages()["docs/pipeline-spec.md"]
    example = page.partition("```yaml\n")[2].partition("```\n")[0]
    assert parse(example, "docs/pipeline-spec.md").title


def test_the_schema_is_valid_json_schema_2020_12_with_a_title() -> None:
    schema = json.loads(pages()["docs/pipeline.schema.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_editor_accepts_every_pipeline_that_loads(path: Path) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(read(path.read_text("utf-8")).data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unit:", "unti:"),
        ("kind: banxico", "kind: banxco"),
        ("horizon: 1", "horizon: '1'"),
        ("fix_mxn:\n", "Fix:\n"),
        ("banxico_api", "postgresql://h/db"),
        ("60 days", "sixty"),
        ("owner: credit-desk\n", ""),
    ],
)
def test_an_editor_refuses_what_one_field_alone_gets_wrong(old: str, new: str) -> None:
    text = Path(__file__).with_name("minimal.yaml").read_text("utf-8").replace(old, new, 1)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schema()).validate(read(text).data)


@pytest.mark.parametrize("path", EXAMPLES[:-2], ids=lambda path: path.parent.name)
def test_every_shipped_pipeline_points_an_editor_at_the_schema(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    reference = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / reference).resolve() == ROOT / "docs" / "pipeline.schema.json"
