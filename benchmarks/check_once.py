"""``python -m benchmarks.check_once check|plain FILE``: one way over a file, once; say what it took and outcome.

``check`` parses it and runs contract and profile as a task does; ``plain`` is pandas and Great Expectations as
their guides use them: the whole file as one frame, one suite, nothing of this project but the spec.
"""

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.memory import peak_mb
from benchmarks.rows import WINDOW
from include.spec.load import load

if TYPE_CHECKING:
    import pyarrow as pa

SPEC = Path(__file__).with_name("quality.yaml")


def main(what: str, path: Path) -> None:
    """Print as JSON: seconds, seconds of both cores, peak and what was outcome."""
    for name in ("great_expectations", "pandas", "pyarrow.compute", "datasketches"):
        importlib.import_module(name)  # a warm task has them already
    begin, spent = time.perf_counter(), time.process_time()
    outcome = {"check": check, "plain": plain}[what](path)
    taken = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - spent}

    print(json.dumps({**outcome, **taken, "peak_mb": peak_mb()}))


def batches(path: Path) -> Iterator["pa.RecordBatch"]:
    """Parse the file as a task does, in the size and as far ahead as it does."""
    from include.quality.stream import ahead, gather
    from include.sources import parse

    source = load(SPEC).sources["rows"]
    return gather(ahead(parse("bench", "rows", source, [lambda: path.open("rb")], WINDOW), 2))


def check(path: Path) -> dict[str, Any]:
    """Run the contract and the profile, all but writing the rows to the lake, which is the load's."""
    from include.quality import verdicts
    from include.quality.batch_check import BatchCheck

    checker, checking = BatchCheck(load(SPEC).sources["rows"], WINDOW), 0.0
    for batch in batches(path):
        begin = time.perf_counter()
        checker.take(batch)
        checking += time.perf_counter() - begin
    begin = time.perf_counter()
    results = [result.to_dict() for result in verdicts.results(checker)]
    facts = checker.profile.facts()
    checking += time.perf_counter() - begin
    counts = {"rows": checker.received, "rejected": checker.quarantined, "columns": len(facts)}
    return {**counts, "results": results, "checking_seconds": checking}


def plain(path: Path) -> dict[str, Any]:
    """Run the contract as one suite on one frame; a row that cannot be read is asked nothing but completeness."""
    import pandas as pd

    source = load(SPEC).sources["rows"]
    texts = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    frame = pd.DataFrame({name: pd.to_numeric(texts[name], errors="coerce") for name in source.columns})
    times = pd.to_datetime(texts["measured_at"], errors="coerce", format="%Y-%m-%d %H:%M:%S")
    is_read = times.notna() & (frame.notna() | texts[list(frame)].isna()).all(axis=1)
    for name in source.columns:
        frame[f"{name} text"] = texts[name]
    del texts
    frame["fall"] = (frame["level_0_m"] - frame["level_1_m"] <= 99.9).where(
        frame["level_0_m"].notna() & frame["level_1_m"].notna()
    )
    outcome = [*_plain(frame, _shares(source)), *_plain(frame[is_read].reset_index(drop=True), _single(source))]
    return {"rows": len(frame), "results": outcome}


def _shares(source: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for name, column in source.columns.items():
        yield "completeness", name, "not_be_null", {"column": name, "mostly": column.completeness}


def _single(source: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for name, column in source.columns.items():
        yield "range", name, "be_between", {"column": name, "min_value": column.min, "max_value": column.max}
        if column.required:
            yield "required", name, "not_be_null", {"column": name}
        if column.allowed:
            yield "allowed", name, "be_in_set", {"column": name, "value_set": list(column.allowed)}
        if column.decimals is not None:
            regex = rf"^-?[0-9]+(\.[0-9]{{0,{column.decimals}}})?$"
            yield "decimals", name, "match_regex", {"column": f"{name} text", "regex": regex}
    yield "fall", "*", "be_in_set", {"column": "fall", "value_set": [True]}
    yield "mark", "pulse_count", "not_be_in_set", {"column": "pulse_count", "value_set": [5000, 9999]}


def _plain(frame: Any, expectations: Iterator[tuple[str, str, str, dict[str, Any]]]) -> Iterator[list[Any]]:
    """Yield rule, column, verdict and count of each expectation."""
    import great_expectations as gx
    from great_expectations.core.expectation_suite import ExpectationSuite
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    rules = list(expectations)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = ExpectationSuite(
        name="contract",
        expectations=[
            ExpectationConfiguration(type=f"expect_column_values_to_{kind}", kwargs=arguments, meta={"place": place})
            for place, (*_, kind, arguments) in enumerate(rules)
        ],
    )
    for item in batch.validate(suite).results:
        rule, column, *_ = rules[item.expectation_config.meta["place"]]
        yield [rule, column, item.success, item.result["unexpected_count"]]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
