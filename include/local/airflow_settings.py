"""Applies ``airflow_settings.yaml`` to the Airflow of the current environment.

``python -m include.local.airflow_settings [--migrate]`` works in one process and can be run
again at any time: what is declared overwrites what is there, and nothing else is touched.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from include.errors import CicloError, ConfigError
from include.local.secrets import write_private
from include.spec import lines
from include.spec.faults import Fault, dotted, one_of
from include.spec.faults import Path as Steps

FILE = Path(__file__).resolve().parents[2] / "airflow_settings.yaml"

# Section of the file -> key that names an entry -> further keys, each with Airflow's word for it.
_CONNECTION = {f"conn_{word}": word for word in ("host", "schema", "login", "password", "port", "extra")}
_SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "connections": ("conn_id", {"conn_type": "conn_type", **_CONNECTION}),
    "pools": ("pool_name", {"pool_slot": "slots", "pool_description": "description"}),
    "variables": ("variable_name", {"variable_value": "value"}),
}
Declared = dict[str, dict[str, dict[str, Any]]]

_NEEDED = {"conn_id": ("conn_type",), "pool_name": ("pool_slot",)}
_NAMED = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


def read(file: Path, environ: Mapping[str, str] | None) -> Declared:
    """Return what `file` declares, by section and name, with the environment's values in place.

    Without an environment nobody asks for the variables, and what stands in their place means nothing.

    Raises
    ------
    ConfigError
        The file is not YAML, has a key that does not belong there, an entry without its name or
        what Airflow needs of it, or names a variable that is not set. A line a fault: ``file:line: field: what; fix``.
    """
    try:
        document = lines.read(file.read_text(encoding="utf-8"))
    except lines.BadLine as bad:
        raise ConfigError(f"{file.name}:{bad.line}: {bad.message}") from bad
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name}: cannot be read ({error}); restore it") from error
    reading = _Reading(environ)
    declared = reading.declared(document.data)
    if reading.faults:
        placed = sorted((document.line(fault.path), dotted(fault.path), fault.message) for fault in reading.faults)
        raise ConfigError("\n".join(f"{file.name}:{line}: {field}: {message}" for line, field, message in placed))
    return declared


class _Reading:
    """Reads plain data into declarations and gathers what is wrong with it."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.environ = environ
        self.faults: list[Fault] = []

    def declared(self, data: Any) -> Declared:
        sections = self._mapping(("airflow",), self._mapping((), data, ["airflow"]).get("airflow"), _SECTIONS)
        declared: Declared = {section: {} for section in _SECTIONS}
        for section, (naming_key, words) in _SECTIONS.items():
            entries = sections.get(section) or []
            if not isinstance(entries, list):
                self.faults.append(Fault(("airflow", section), "is no list; begin each entry with -"))
                continue
            for number, entry in enumerate(entries):
                path = ("airflow", section, number)
                values = self._expanded(path, self._mapping(path, entry, [naming_key, *words]))
                self._check(path, values, naming_key)
                name = str(values.pop(naming_key, ""))
                if name in declared[section]:
                    self.faults.append(Fault((*path, naming_key), f"{name!r} is declared twice; remove one"))
                declared[section][name] = {words[key]: v for key, v in values.items() if v not in (None, "")}
        return declared

    def _mapping(self, path: Steps, value: Any, keys: Iterable[str]) -> dict[str, Any]:
        """Return what of a mapping has one of these keys."""
        listed = sorted(keys)
        if not isinstance(value, dict):
            self.faults.append(Fault(path, f"is no mapping; write one with {', '.join(listed)}"))
            return {}
        for key in value:
            if key not in listed:
                self.faults.append(Fault((*path, key), f"unknown key; {one_of(key, listed)}"))
        return {key: inner for key, inner in value.items() if key in listed}

    def _expanded(self, path: Steps, value: Any) -> Any:
        """Return a value with the environment's in place."""
        if isinstance(value, dict):
            return {key: self._expanded((*path, key), inner) for key, inner in value.items()}
        return _NAMED.sub(partial(self._variable, path), value) if isinstance(value, str) else value

    def _variable(self, path: Steps, match: re.Match[str]) -> str:
        if self.environ is None:
            return match["default"] or "1"
        value = self.environ.get(match["name"]) or match["default"]
        if value is None:
            self.faults.append(Fault(path, f"{match['name']} is not set; set it in .env"))
        return value or ""

    def _check(self, path: Steps, entry: Mapping[str, Any], naming_key: str) -> None:
        """Gather what Airflow would choke on: what is missing, and numbers that are none."""
        for key in (naming_key, *_NEEDED.get(naming_key, ())):
            if entry.get(key) in (None, ""):
                self.faults.append(Fault(path, f"the entry has no {key}; add one"))
        for key in ("pool_slot", "conn_port"):
            value = "1" if entry.get(key) in (None, "") else str(entry[key])
            if not (value.isdecimal() and int(value)):
                self.faults.append(Fault((*path, key), f"{value!r} is no whole number from 1; write one"))


def apply(declared: Declared, migrate: bool = False) -> None:
    """Write the declarations into Airflow's metadata, after its migrations when `migrate` is set.

    Runs Airflow's own commands inside this process, because each one started by itself would import Airflow again.
    """
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    with tempfile.TemporaryDirectory(prefix="ciclo-") as folder:
        runs = [["db", "migrate"]] if migrate else []
        for section, entries in declared.items():
            if entries:
                file = Path(folder) / f"{section}.json"
                write_private(file, json.dumps(_airflow_format(section, entries)))
                runs.append([section, "import", *["--overwrite"] * (section == "connections"), str(file)])
        for run in runs:
            arguments = parser.parse_args(run)
            arguments.func(arguments)


def _airflow_format(section: str, entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if section == "connections":
        return {name: {**e, "port": int(e["port"])} if "port" in e else e for name, e in entries.items()}
    if section == "pools":
        return {name: {"description": "", **e, "slots": int(e["slots"])} for name, e in entries.items()}
    return {name: entry.get("value", "") for name, entry in entries.items()}


if __name__ == "__main__":
    try:
        apply(read(FILE, os.environ), migrate="--migrate" in sys.argv)
    except CicloError as error:
        sys.exit(str(error))
