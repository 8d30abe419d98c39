"""Everything in containers with one command: ``python -m include.local.containers``, which ``make containers`` runs.

Only the standard library and ``docker``: nothing has to be installed for it.
"""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ("docker", "compose")
REQUIRED = re.compile(r"\$\{(CICLO_SECRET_\w+):\?")
EMPTY = r"[ \t]*(?:''|\"\")?[ \t]*(?:[ \t]#.*)?\r?$"
GIVEN = re.compile(rf"^\s*(?:export\s+)?(\w+)[ \t]*[=:](?!{EMPTY})", re.MULTILINE)


class Refusal(Exception):
    """The sentence that ends the command."""


def add_secrets(file: Path, required: "list[str]", environ: "Mapping[str, str]") -> "list[str]":
    """Add the secrets that neither a file of variables nor the environment has; return their names.

    What the file holds stays as it is; from then on nobody but its owner can read it.
    """
    text = file.read_text("utf-8", "surrogateescape") if file.exists() else ""
    given = set(GIVEN.findall(text)) | {name for name, value in environ.items() if value}
    missing = sorted(set(required) - given)
    with open(os.open(str(file), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as output:
        os.fchmod(output.fileno(), 0o600)
        output.write("\n" if missing and text and not text.endswith("\n") else "")
        output.writelines(f"{name}={make(name)}\n" for name in missing)
    return missing


def make(name: str) -> str:
    """Return a new secret: letters and digits, because some go into URLs; for Fernet a key of its own form."""
    if name.endswith("_FERNET"):
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(32)


def addresses(services: "dict[str, dict]") -> "list[str]":
    """Return a line for each port that the resolved services publish on this machine.

    Examples
    --------
    >>> addresses({"mlflow": {"ports": [{"published": "5000", "host_ip": "127.0.0.1"}]}, "init": {}})
    ['  mlflow      http://127.0.0.1:5000']
    """
    names = {"api-server": "airflow"}
    return [
        f"  {names.get(name, name):<12}{'postgresql' if name == 'postgres' else 'http'}://127.0.0.1:{port['published']}"
        for name, service in services.items()
        for port in service.get("ports", [])
    ]


def start() -> None:
    """Build the image, start every service, wait until all are healthy, and say where they are."""
    if shutil.which("docker") is None:
        raise Refusal("There is no docker on the PATH: install Docker with Compose 2.24 or newer, then run it again.")
    for name in add_secrets(ROOT / ".env", REQUIRED.findall((ROOT / "docker-compose.yaml").read_text()), os.environ):
        print(f"  {name} is new in .env", flush=True)
    if subprocess.call([*COMPOSE, "up", "--build", "--wait"], cwd=str(ROOT)) != 0:
        raise Refusal(
            "docker compose up failed: the lines above say why, and docker compose logs SERVICE more. Mend that,"
            " then run the same again."
        )
    resolved = subprocess.check_output([*COMPOSE, "config", "--format", "json"], cwd=str(ROOT))
    print("\n".join(addresses(json.loads(resolved)["services"])))
    print("  Airflow's user is admin; its password is CICLO_SECRET_AIRFLOW_ADMIN in .env")
    print("  docker compose run --rm replay         plays each pipeline's loop")
    print("  docker compose run --rm ciclo status   says how everything is")


def main() -> int:
    """Run the command; a failure is a sentence, without a traceback."""
    try:
        start()
    except (Refusal, OSError, subprocess.CalledProcessError) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; docker compose down ends what has started, the same command goes on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
