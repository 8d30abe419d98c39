"""Applies ``airflow_settings.yaml`` to the Airflow of the current environment.

``python -m include.local.airflow_settings [--migrate]`` works in one process and can be run
again at any time: what is declared overwrites what is there, and nothing else is touched.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.errors import CicloError, ConfigError
from include.local.secrets import write_private
from include.spec import lines

FILE = Path(__file__).resolve().parents[2] / "airflow_settings.yaml"

# Section of the file -> key that names an entry -> further keys, each with Airflow's word for it.
_CONNECTION = {
    "conn_type": "conn_type",
    "conn_host": "host",
    "conn_schema": "schema",
    "conn_login": "login",
    "conn_password": "password",
    "conn_port": "port",
    "conn_extra": "extra",
}
_SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "connections": ("conn_id", _CONNECTION),
    "pools": ("pool_name", {"pool_slot": "slots", "pool_description": "description"}),
    "variables": ("variable_name", {"variable_value": "value"}),
}
Declared = dict[str, dict[str, dict[str, Any]]]

_NAMED = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


def read(file: Path, environ: Mapping[str, str]) -> Declared:
    """Return what `file` declares, by section and name, with the environment's values in place.

    Raises
    ------
    ConfigError
        The file is not YAML, has a key that does not belong there, an entry without its name,
        or names a variable that is not set. The message carries file and line.
    """
    try:
        document = lines.read(file.read_text())
    except lines.BadLine as fault:
        raise ConfigError(f"{file.name}, line {fault.line}: {fault.message}.") from fault
    reader = _Reader(file.name, document, environ)
    reader.check_keys((), {"airflow"})
    reader.check_keys(("airflow",), set(_SECTIONS))
    return {section: reader.entries(section) for section in _SECTIONS}


def apply(declared: Declared, migrate: bool = False) -> None:
    """Write the declarations into Airflow's metadata, after its migrations when `migrate` is set.

    Runs Airflow's own commands inside this process, because each one started by itself would
    import Airflow again.
    """
    from airflow.cli.cli_parser import get_parser

    commands = {"connections": ["import", "--overwrite"], "pools": ["import"], "variables": ["import"]}
    parser = get_parser()
    with tempfile.TemporaryDirectory(prefix="ciclo-") as folder:
        runs = [["db", "migrate"]] if migrate else []
        for section, words in commands.items():
            if declared[section]:
                file = Path(folder) / f"{section}.json"
                write_private(file, json.dumps(_airflow_format(section, declared[section])))
                runs.append([section, *words, str(file)])
        for run in runs:
            arguments = parser.parse_args(run)
            arguments.func(arguments)


def _airflow_format(section: str, entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if section == "connections":
        return {name: {**e, "port": int(e["port"])} if "port" in e else e for name, e in entries.items()}
    if section == "pools":
        return {name: {"description": "", **e, "slots": int(e["slots"])} for name, e in entries.items()}
    return {name: entry.get("value", "") for name, entry in entries.items()}


class _Reader:
    """Reads one document, naming the line of whatever is wrong."""

    def __init__(self, name: str, document: lines.Document, environ: Mapping[str, str]) -> None:
        self._name, self._document, self._environ = name, document, environ

    def entries(self, section: str) -> dict[str, dict[str, Any]]:
        naming_key, words = _SECTIONS[section]
        found = {}
        for number, entry in enumerate(self._at(("airflow", section)) or []):
            path = ("airflow", section, number)
            self.check_keys(path, {naming_key, *words})
            values = {key: self._expand((*path, key), value) for key, value in entry.items()}
            if not values.get(naming_key):
                raise self._fault(path, f"the entry has no {naming_key}; add one")
            given = {key: value for key, value in values.items() if key in words and value not in (None, "")}
            found[str(values[naming_key])] = {words[key]: value for key, value in given.items()}
        return found

    def check_keys(self, path: lines.Path, known: set[str]) -> None:
        mapping = self._at(path)
        if not isinstance(mapping, dict):
            raise self._fault(path, f"a mapping is needed here, with {', '.join(sorted(known))}")
        for key in mapping:
            if key not in known:
                raise self._fault((*path, key), f"{key} is not known here; use {', '.join(sorted(known))}")

    def _at(self, path: lines.Path) -> Any:
        value = self._document.data
        for step in path:
            value = value.get(step) if isinstance(value, dict) else value[step]
        return value

    def _fault(self, path: lines.Path, what: str) -> ConfigError:
        return ConfigError(f"{self._name}, line {self._document.line(path)}: {what}.")

    def _expand(self, path: lines.Path, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._expand((*path, key), inner) for key, inner in value.items()}
        return _NAMED.sub(lambda match: self._value_of(path, match), value) if isinstance(value, str) else value

    def _value_of(self, path: lines.Path, match: re.Match[str]) -> str:
        value = self._environ.get(match["name"]) or match["default"]
        if value is None:
            raise self._fault(path, f"{match['name']} is not set; set it in .env")
        return value


def main(arguments: list[str]) -> int:
    """Apply the project's file; return the exit code."""
    try:
        apply(read(FILE, os.environ), migrate="--migrate" in arguments)
    except CicloError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
