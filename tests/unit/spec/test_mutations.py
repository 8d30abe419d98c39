"""Whatever happens to a valid file, loading it gives a Pipeline or a ConfigError, and nothing else."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from include.errors import ConfigError
from include.spec.lines import read
from include.spec.load import parse
from include.spec.model import Pipeline

TEXT = Path(__file__).with_name("every_kind.yaml").read_text("utf-8")
DATA = read(TEXT).data

JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
# Words that mean something somewhere in the file reach deeper than noise does.
WORDS = [
    *sorted({str(step) for path in read(TEXT).lines for step in path}),
    "SF43718", "1 hour", "99999 weeks", "2025-02-30", "2199-12-31", "* * * * *", "%Y%Y%d", "%", "UTC", "../etc/passwd",
    "America", "station.co_mg_m3", "rates.target_rate_pct", "hash", "drop", "text", "base64", "undefined", "\0", "é",
]  # fmt: skip


def paths(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of everything below the top."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [p for key, child in items for p in ((*path, key), *paths(child, (*path, key)))]


@st.composite
def changed_data(draw: st.DrawFn) -> str:
    """Return the valid document with one to three values replaced, removed, renamed or added."""
    data: Any = deepcopy(DATA)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(paths(data)))
        here = data
        for step in parents:
            here = here[step]
        value = draw(JSON_LIKE | st.sampled_from(WORDS))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                here[last] = value
            case "remove":
                del here[last]
            case "add" if isinstance(here, dict):
                here[draw(st.sampled_from(WORDS) | st.text(max_size=8))] = value
            case _:
                here.append(value)
    return draw(st.sampled_from([json.dumps, yaml.safe_dump]))(data)


@st.composite
def changed_text(draw: st.DrawFn) -> str:
    """Return the valid document with a piece of its text replaced by other characters."""
    start = draw(st.integers(0, len(TEXT)))
    length = draw(st.integers(0, 40))
    piece = draw(
        st.text(
            alphabet=st.sampled_from(" \n\t[]{}:,#&*!|>'\"%@`-?~01aé\0\\") | st.characters(codec="utf-8"), max_size=8
        )
    )
    return TEXT[:start] + piece + TEXT[start + length :]


def load_and_use(text: str) -> None:
    pipeline, told = None, []
    try:
        pipeline = parse(text, "p.yaml")
    except ConfigError as error:
        told = str(error).splitlines()
    assert all(line.startswith("p.yaml:") for line in told)
    if pipeline is None:
        assert told
        return
    assert isinstance(pipeline, Pipeline)
    assert pipeline.replay.windows(pipeline.zone)
    assert len(set(pipeline.feature_names())) == len(pipeline.feature_names())
    assert pipeline.zone
    assert pipeline.table(pipeline.main) == pipeline.pipeline


@given(changed_data())
def test_a_changed_value_gives_a_pipeline_or_a_config_error(text: str) -> None:
    load_and_use(text)


@given(changed_text())
@example(TEXT.replace("Carbon monoxide", '"\\uD800"'))
@example(TEXT.replace("horizon: 0", "horizon: " + "9" * 5000))
def test_a_changed_text_gives_a_pipeline_or_a_config_error(text: str) -> None:
    load_and_use(text)
