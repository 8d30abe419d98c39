"""What ``ciclo inspect`` does with a file: the evidence, the draft of its source, or a whole pipeline written out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import typer

from include.errors import ConfigError


def inspect_file(file: Path, member: str | None, pipeline: str | None, target: str | None) -> None:
    """Tell what a file holds on standard error, and print its draft, or write the pipeline that was asked for.

    Raises
    ------
    ConfigError
        The pipeline is there already, its name is not a plain one, or the target is no number of the file.
    """
    from include.sources.inspection import inspect, pipeline_of, plan_of, summary_of, warnings_of, yaml_of

    if pipeline is not None and target is None:
        raise ConfigError(f"what is pipeline {pipeline} to predict? Name a column of the file with --target")
    place = None if pipeline is None else _new(pipeline)
    inspected = inspect(file, member)
    typer.echo(summary_of(inspected), err=True, nl=False)
    plan = None if target is None else plan_of(inspected, target)
    for line in warnings_of(plan) if plan else ():
        typer.echo(line, err=True)
    if plan is None or pipeline is None or place is None:
        typer.echo(yaml_of(inspected), nl=False)
        return
    _write(place, pipeline_of(plan, pipeline), pipeline)
    typer.echo(f"Written: {place}. {_provided(file)}")
    if inspected.repeated_times and inspected.key is None:
        typer.echo(
            f"{inspected.repeated_times:,} rows share their time with another: nothing loads before `key` is named."
        )
    typer.echo(f"Answer its comments, above all what is predicted and why; then: .venv/bin/ciclo run {pipeline}")


def _new(pipeline: str) -> Path:
    from include.settings import settings
    from include.spec.load import FILE_NAME

    place = settings().pipelines / pipeline / FILE_NAME
    if place.parent.exists():
        raise ConfigError(f"{place.parent} is there already: choose another name, or delete it first")
    return place


def _write(place: Path, text: str, pipeline: str) -> None:
    from include.spec.load import parse

    parse(text, str(place), folder=pipeline)
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")


def _provided(file: Path) -> str:
    """Copy the file to the folder that the draft's connection reads, where that is ours; return where it is read."""
    from dotenv import dotenv_values

    from include.settings import settings

    folder = settings().var / "files"
    if url := (dotenv_values(settings().root / ".env") | os.environ).get("LOCAL_FILES_URL"):
        return f"Copy {file} to {url}, which the connection local_files reads."
    copy = folder / file.name
    if copy.exists():
        return f"It reads {copy}, which was there already."
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return f"It reads {copy}, a copy of the file."
