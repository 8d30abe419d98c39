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
from pathlib import Path
from typing import Any

from include.errors import CicloError, ConfigError
from include.local.secrets import write_private
from include.spec import lines

FILE = Path(__file__).resolve().parents[2] / "airflow_settings.yaml"

# Section of the file -> key that names an entry -> further keys, each with Airflow's word for it.
_CONNECTION = {f"conn_{word}": word for word in ("host", "schema", "login", "password", "port", "extra")}
_SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "connections": ("conn_id", {"conn_type": "conn_type", **_CONNECTION}),
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
    except lines.BadLine as bad:
        raise ConfigError(f"{file.name}, line {bad.line}: {bad.message}.") from bad

    def fault(path: lines.Path, what: str) -> ConfigError:
        return ConfigError(f"{file.name}, line {document.line(path)}: {what}.")

    def known(path: lines.Path, value: Any, keys: Iterable[str]) -> dict[str, Any]:
        """Return a mapping that has no other keys than these."""
        listed = ", ".join(sorted(keys))
        if not isinstance(value, dict):
            raise fault(path, f"a mapping is needed here, with {listed}")
        for key in value:
            if key not in keys:
                raise fault((*path, key), f"{key} is not known here; use {listed}")
        return value

    def expand(path: lines.Path, value: Any) -> Any:
        """Put the environment's values in place."""
        if isinstance(value, dict):
            return {key: expand((*path, key), inner) for key, inner in value.items()}
        return _NAMED.sub(lambda match: value_of(path, match), value) if isinstance(value, str) else value

    def value_of(path: lines.Path, match: re.Match[str]) -> str:
        value = environ.get(match["name"]) or match["default"]
        if value is None:
            raise fault(path, f"{match['name']} is not set; set it in .env")
        return value

    sections = known(("airflow",), known((), document.data, ["airflow"]).get("airflow"), _SECTIONS)
    declared: Declared = {section: {} for section in _SECTIONS}
    for section, (naming_key, words) in _SECTIONS.items():
        for number, entry in enumerate(sections.get(section) or []):
            path = ("airflow", section, number)
            values = expand(path, known(path, entry, [naming_key, *words]))
            if not (name := values.pop(naming_key, None)):
                raise fault(path, f"the entry has no {naming_key}; add one")
            declared[section][str(name)] = {words[key]: v for key, v in values.items() if v not in (None, "")}
    return declared


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
