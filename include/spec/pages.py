"""The two pages generated from the model: the JSON Schema for editors and the reference for people."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from include.spec.fields import NAME, UNITS
from include.spec.load import ROOT
from include.spec.schema import Schema, json_schema

COMMAND = "python -m include.spec"
EXAMPLE = ROOT / "tests" / "unit" / "spec" / "minimal.yaml"  # the tests load it, so it loads
_INTRO = f"""\
# `pipeline.yaml`

<!-- Generated from include/spec by `{COMMAND}`. Change the model there, not this page. -->

One file, `include/pipelines/<name>/pipeline.yaml`, describes a whole loop: where rows come from, what they
must look like, what models see, who competes, when to train again and what `make run` replays. There is
nothing else to write for a new pipeline.

- The first line `# yaml-language-server: $schema=../../../docs/pipeline.schema.json` gives an editor
  completion and checks while you type.
- Every key is listed below; any other is an error. So is a key that is there twice.
- Values are read by the rules of YAML 1.2: `12` is a number and `"12"` is text. `on`, `no` and `12:00` are text.
  Aliases (`*name`) and tags (`!!name`) are not used.
- Dates are midnights in the pipeline's zone: that in which its main source writes dates, `schedule.timezone` where it
  writes times of day. A span of time ends before its end date.
- A name is at most 40 lower-case letters, digits and `_`, beginning with a letter.
- A `unit` is one of {", ".join(f"`{unit}`" for unit in sorted(UNITS))}, or any unit of measure that
  [pint](https://pint.readthedocs.io) knows, such as `degF` or `kW/m2`. What it does not know is written
  `unit: other("veh/h")`.
- A share goes from 0 to 1, a key that ends in `_pct` is in %.

What is wrong is told by one line a fault, with the file, the line, the field and the fix:

```
include/pipelines/usdmxn/pipeline.yaml:42: sources.fix.columns.fix_mxn.unti: unknown key; did you mean 'unit'?
```
"""
_RULES = """\
## What must hold between fields

- Exactly one source has `main: true`. Its columns are named alone (`fix_mxn`), those of other sources with
  their source (`rates.tiie_28d_pct`).
- A source's `key` names columns with `required: true`; no two of its columns read the same `from`.
- `min` is below `max`, and both are for numbers. A `completeness` below 0.8 has a `note` that says why.
- `ignore` names nothing that a column or the time reads.
- `personal` is for sources of kind `sql`; a hashed column is text; no feature reads a personal column.
- `published` has either `after`, or `months`, `day` and `time`.
- Features read numbers and booleans; text only through `one_hot`. `trailing` reads a source that is not the main one.
  A `ratio` has exactly one of `over` and `periods`, and `over` is a column of the same source.
- No two features share a name.
- The target is a number of the main source. With `horizon: 0` no feature may see it on the same row.
- `anchor`, `by`, `protected`, those of `behaviour` and the watched `features` are names of features. `mean_shift_pct`
  needs `features` to watch, `slice_max_loss_pct` needs `monitoring.slices`.
- One candidate is of kind `naive`.
- The replay's windows are in order, history first, and none begins before `schedule.start`.
- The folder is called like the pipeline; no two pipelines share a table.
"""


def pages() -> dict[str, str]:
    """Return the generated pages: path below the repository's root, and text."""
    schema = json_schema()
    example = f"## A minimal example\n\n```yaml\n{EXAMPLE.read_text(encoding='utf-8')}```\n"
    return {
        "docs/pipeline.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        "docs/pipeline-spec.md": "\n".join([_INTRO, example, *_reference(schema), _RULES]),
    }


def publish(texts: Mapping[Path, str], arguments: Sequence[str] | None, complaint: str) -> int:
    """Write generated pages, or with ``--check`` tell which are stale; return the exit code, 1 if one is.

    Parameters
    ----------
    texts : mapping of Path to str
        What each page says now.
    arguments : sequence of str, optional
        ``--check`` or nothing; by default the command line's.
    complaint : str
        What is said of a stale page; ``{}`` is its path from the repository's root. The first line that differs
        is added, for in a long page a person wants to know it.
    """
    parser = argparse.ArgumentParser(description="Generated pages.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if a page is stale")
    is_check, stale = parser.parse_args(arguments).check, 0
    for path, text in texts.items():
        if not is_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            continue
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        if kept != text:
            both = zip([*kept.splitlines(), ""], [*text.splitlines(), ""], strict=False)
            number, line = next(((n, new) for n, (old, new) in enumerate(both, 1) if old != new), (1, ""))
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(f"{complaint.format(shown)} (line {number} would be: {line[:200] or 'gone'})", file=sys.stderr)
            stale = 1
    return stale


def _reference(schema: Schema) -> Iterator[str]:
    """Yield a section per mapping, in the order of the file."""
    definitions = schema["$defs"]
    seen: set[str] = set()
    waiting = [("The file", schema)]
    while waiting:
        where, mapping = waiting.pop(0)
        yield f"## {_title(where, mapping)}\n\n{mapping['description']}\n"
        yield "| Key | Type | Default | Unit | Meaning |\n| --- | --- | --- | --- | --- |"
        below = []
        for key, field in sorted(mapping["properties"].items(), key=lambda item: item[0] != "kind"):
            # pydantic leaves a description out where it equals that of the mapping it refers to
            meaning = field.get("description") or definitions[field["$ref"].rpartition("/")[2]]["description"]
            yield _row(key, field, meaning, key in mapping.get("required", []))
            path = key if mapping is schema else f"{where}.{key}"
            below += [(where_, definitions[name]) for where_, name in _below(path, field) if name not in seen]
            seen.update(name for _, name in _below(path, field))
        yield ""
        waiting = below + waiting


def _title(where: str, mapping: Schema) -> str:
    if kind := mapping["properties"].get("kind"):
        return f"`{where}`, kind `{kind['const']}`"
    return f"`{where}`" if where[0].islower() else where


def _below(path: str, field: Schema) -> Iterator[tuple[str, str]]:
    """Yield the mappings a field holds: where they stand and the name of their definition."""
    if "$ref" in field:
        yield path, field["$ref"].rpartition("/")[2]
    for option in (*field.get("oneOf", ()), *field.get("anyOf", ())):
        yield from _below(path, option)
    for child in field.get("patternProperties", {}).values():
        yield from _below(f"{path}.<name>", child)
    if "items" in field:
        yield from _below(f"{path}[]", field["items"])


def _row(key: str, field: Schema, meaning: str, is_required: bool) -> str:
    default = "**required**" if is_required else _default(field.get("default"))
    cells = (f"`{key}`", _type(field), default, _unit(field), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return "see below"
    return "none" if value in (None, []) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _unit(field: Schema) -> str:
    """Return the unit of a field, or of what it holds."""
    inside = [*field.get("anyOf", ()), *field.get("prefixItems", ()), *([field["items"]] if "items" in field else ())]
    return field.get("unit") or next((unit for inner in inside if (unit := _unit(inner))), "")


def _type(field: Schema) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"] if option.get("type") != "null")
    if "prefixItems" in field:
        return "list of " + ", ".join(_type(item) for item in field["prefixItems"])
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if "$ref" in field or "oneOf" in field or field.get("type") == "object":
        return "mapping by name" if "patternProperties" in field else "mapping"
    if field.get("format") == "date":
        return "date"
    if field.get("pattern") == NAME:
        return "name"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    like = f" like `{field['examples'][0]}`" if "examples" in field else ""
    return names[field["type"]] + like + _range(field)


def _range(field: Schema) -> str:
    signs = {"exclusiveMinimum": "&gt;", "minimum": "≥", "exclusiveMaximum": "&lt;", "maximum": "≤"}
    limits = [f" {sign} {str(field[key]).removesuffix('.0')}" for key, sign in signs.items() if key in field]
    return ",".join(limits)
