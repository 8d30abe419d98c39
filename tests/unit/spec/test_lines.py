"""YAML as plain data: the rules of YAML 1.2, and the line of everything."""

from typing import Any

import pytest

from include.spec.lines import BadLine, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("12:00", "12:00"),
        ("2025-01-01", "2025-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("-200", -200),
        ("007", 7),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("9" * 19, float("9" * 19)),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_a_value_is_read_as_yaml_1_2_reads_it(text: str, value: Any) -> None:
    found = read(f"key: {text}").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_list_item_has_its_line() -> None:
    document = read("# a comment\na:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 4,
        ("a", "c", 0): 5,
        ("a", "c", 1): 6,
        ("a", "c", 1, "d"): 6,
    }


def test_a_path_that_is_not_there_has_the_line_of_its_parent() -> None:
    assert read("a:\n  b: 1\n").line(("a", "missing", "deeper")) == 1


def test_a_bracket_left_open_is_reported_where_it_was_opened() -> None:
    with pytest.raises(BadLine) as error:
        read("a: 1\nb: [1, 2\nc: 3\nd: 4\n")
    assert error.value.line == 2


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "&a [*a]", "? {a: 1}\n: 2"])
def test_a_document_made_to_exhaust_the_reader_is_refused(text: str) -> None:
    with pytest.raises(BadLine):
        read(text)
