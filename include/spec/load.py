"""Reads ``pipeline.yaml`` files. One that is wrong ends in one error with a line per fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from include.errors import ConfigError
from include.settings import ROOT, settings
from include.spec.explain import explain
from include.spec.faults import Fault, dotted
from include.spec.lines import BadLine, Document, read
from include.spec.model import Pipeline

FILE_NAME = "pipeline.yaml"


def load(path: Path) -> Pipeline:
    """Read one ``pipeline.yaml``.

    Parameters
    ----------
    path : Path
        The file. If it is called ``pipeline.yaml``, its folder must be called like the pipeline.

    Raises
    ------
    ConfigError
        One line a fault: ``file:line: field: what is wrong; fix``. Retrying does not help.
    """
    file = _shown(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8 here; save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); create it, or mend the path") from None
    return parse(text, file, folder=path.resolve().parent.name if path.name == FILE_NAME else None)


def load_named(name: str) -> Pipeline:
    """Read the pipeline of that name, from where the settings say; raises as `load` does."""
    return load(settings().pipelines / name / FILE_NAME)


def load_all(folder: Path | None = None) -> dict[str, Pipeline]:
    """Read ``<folder>/*/pipeline.yaml``, sorted by name; `folder` is by default what the settings say.

    Raises
    ------
    ConfigError
        With every fault of every file, or if two pipelines would share a table. Retrying does not help.
    """
    pipelines, faults = load_each(folder)
    if faults:
        raise ConfigError("\n".join(faults.values()))
    return pipelines


def load_runnable(folder: Path | None = None) -> dict[str, Pipeline]:
    """Return the pipelines that can be loaded, as `load_all` does: one that is broken must not stop the others."""
    return load_each(folder)[0]


def load_each(folder: Path | None = None) -> tuple[dict[str, Pipeline], dict[str, str]]:
    """Return the pipelines that can be loaded; and the faults of the others, a line each, by their folders' names."""
    folder = settings().pipelines if folder is None else folder
    if not folder.is_dir():
        raise ConfigError(f"{_shown(folder)}: is not a folder; create it, with a folder for each pipeline")
    pipelines, faults = {}, {}
    for path in sorted(path / FILE_NAME for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"):
        name = path.parent.name
        try:
            pipelines[name] = load(path)
        except ConfigError as error:
            faults[name] = str(error)
        if (wrong := path.with_suffix(".yml")).exists():
            faults[name] = f"{_shown(wrong)}: has the wrong ending; rename it to {FILE_NAME}"
            pipelines.pop(name, None)
    for second, fault in _shared_tables(pipelines.values()):
        pipelines.pop(second, None)
        faults[second] = fault
    return pipelines, faults


def parse(text: str, file: str, folder: str | None = None) -> Pipeline:
    """Read the text of a ``pipeline.yaml``; `file` is the name errors give, `folder` the name it must have.

    Raises
    ------
    ConfigError
        One line a fault. Retrying does not help.
    """
    try:
        document = read(text)
    except BadLine as bad:
        raise ConfigError(_line(file, bad.line, Fault(bad.path, bad.message))) from None
    try:
        # As JSON, because pydantic's strict mode then still takes lists for tuples and text for dates.
        pipeline = Pipeline.model_validate_json(json.dumps(document.data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _error(file, document, explain(error, document.data)) from None
    if folder not in (None, pipeline.pipeline):
        what = f"{pipeline.pipeline!r} is not the name of its folder {folder!r}; rename one of them"
        raise _error(file, document, [Fault(("pipeline",), what)])
    pipeline._file, pipeline._document = file, document
    return pipeline


def _error(file: str, document: Document, faults: Iterable[Fault]) -> ConfigError:
    placed = sorted((document.line(fault.path), i, fault) for i, fault in enumerate(faults))
    return ConfigError("\n".join(_line(file, line, fault) for line, _, fault in placed))


def _line(file: str, line: int, fault: Fault) -> str:
    where = f"{dotted(fault.path)}: " if fault.path else ""
    return f"{file}:{line}: {where}{fault.message}"


def _shown(path: Path) -> str:
    """Return a path as people type it: from the repository's root, if it lies there."""
    resolved = path.resolve()
    return resolved.relative_to(ROOT).as_posix() if resolved.is_relative_to(ROOT) else str(path)


def _shared_tables(pipelines: Iterable[Pipeline]) -> Iterable[tuple[str, str]]:
    """Yield the later of two pipelines that would share a table, with the fault."""
    owners: dict[str, Pipeline] = {}
    for pipeline in list(pipelines):
        for name in pipeline.sources:
            owner = owners.setdefault(pipeline.table(name), pipeline)
            if owner is not pipeline:
                where, table = pipeline.where("sources", name), f"core.{pipeline.table(name)}"
                what = f"its table {table} is also one of the pipeline {owner.pipeline!r}; rename one of them"
                yield pipeline.pipeline, f"{where}: sources.{name}: {what}"
