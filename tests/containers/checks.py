"""What must hold for docker-compose.yaml; each check returns one sentence for each fault it finds."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.containers import folders
from tests.containers.compose import ROOT, variables

# The schema of the Compose Specification (Apache License 2.0) as the package check-jsonschema 0.39.0 carries it.
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET|(^|_)KEY|_CONN$|_URI$|_URL$")
PASSWORD_IN_URL = re.compile(r"://[^/@]+:[^/@]+@")
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")
FROM_SECRETS = re.compile(r"\$\{(CICLO_SECRET_\w+)(:\?|:-\}|.)")

Document = dict[str, Any]


def breaks_the_schema(document: Document) -> list[str]:
    """Tell what the Compose Specification does not allow."""
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in Draft202012Validator(SCHEMA).iter_errors(document)]


def names_what_is_not_there(document: Document) -> list[str]:
    """Tell which services, volumes and paths are named and do not exist, or exist and are not named."""
    services, volumes = document["services"], set(document.get("volumes") or {})
    faults = [
        f"{name} depends on {needed}, which is no service"
        for name, service in services.items()
        for needed in service.get("depends_on", {})
        if needed not in services
    ]
    used = {mount.split(":")[0] for service in services.values() for mount in _mounts(service, str)}
    faults += [
        f"the path {path} is mounted and not there" for path in used if path[0] == "." and not (ROOT / path).exists()
    ]
    used = {path for path in used if path[0] != "."}
    faults += [f"the volume {name} is used and not declared" for name in sorted(used - volumes)]
    faults += [f"the volume {name} is declared and not used" for name in sorted(volumes - used)]
    unbuilt = {n: s["build"]["context"] for n, s in services.items() if "build" in s and not _builds(s["build"])}
    return faults + [f"{name} is built in {path}, which has no Dockerfile" for name, path in unbuilt.items()]


def waits_for_nothing(document: Document) -> list[str]:
    """Tell whose start waits for a sign that never comes."""
    services, faults = document["services"], []
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            target = services.get(needed, {})
            if how["condition"] == "service_healthy" and "healthcheck" not in target:
                faults.append(f"{name} waits for {needed} to be healthy, which has no health check")
            if how["condition"] == "service_completed_successfully" and not is_job(target):
                faults.append(f"{name} waits for {needed} to end, which is restarted for ever")
            if how["condition"] == "service_started":
                faults.append(f"{name} does not wait until {needed} works")
    return faults


def has_no_health_check(document: Document) -> list[str]:
    """Tell which services stay up and cannot say how they are; jobs say it by ending."""
    services = document["services"].items()
    return [f"{name} has no health check" for name, s in services if not is_job(s) and "healthcheck" not in s]


def has_too_many_rights(document: Document) -> list[str]:
    """Tell which services run as root, keep capabilities or can change their own image."""
    faults = []
    for name, service in document["services"].items():
        user = str(service.get("user", "")).split(":")[0]
        if user in ("", "0", "root"):
            faults.append(f"{name} runs as root")
        if service.get("privileged") or service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
            faults.append(f"{name} keeps capabilities")
        if "no-new-privileges:true" not in service.get("security_opt", []):
            faults.append(f"{name} can gain privileges")
        if not service.get("read_only"):
            faults.append(f"{name} can write to its image")
    return faults


def opens_a_port_to_the_world(document: Document) -> list[str]:
    """Tell which published ports other machines could reach."""
    ports = [(name, str(port)) for name, s in document["services"].items() for port in s.get("ports", [])]
    return [f"{name} publishes {port} on every address" for name, port in ports if not port.startswith("127.0.0.1:")]


def floats(document: Document) -> list[str]:
    """Tell which images are not pinned to a version."""
    images = {name: str(service.get("image", "")) for name, service in document["services"].items()}
    floating = {name: image for name, image in images.items() if not PINNED.fullmatch(image)}
    return [f"{name} has the image {image!r}, no version" for name, image in floating.items()]


def tells_a_secret(document: Document) -> list[str]:
    """Tell which secrets stand in the file itself, have a default, or are not asked for once and for all."""
    faults = []
    for name, service in document["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if value and not FROM_SECRETS.search(str(value)) and _is_a_secret(key, str(value)):
                faults.append(f"{name} has a value for {key} in the file")
    used = {(name, how) for name, how in FROM_SECRETS.findall(json.dumps(document))}
    faults += [f"{name} has a default" for name, how in sorted(used) if how not in (":?", ":-}")]
    asked = set(re.findall(r"(\w+):\?", document["x-required"]))
    faults += [f"{name} need not be set" for name in sorted({name for name, _ in used} - asked)]
    many = {name for name, hows in variables(document["services"]).items() if "?" in hows}
    return faults + [f"a missing {name} would be told again and again" for name in sorted(many)]


def is_limited(document: Document) -> list[str]:
    """Tell which services assume how large the machine is."""
    limits = {"cpus", "cpuset", "cpu_count", "cpu_shares", "deploy", "mem_limit", "mem_reservation", "pids_limit"}
    return [f"{name} sets {key}" for name, s in document["services"].items() for key in sorted(limits & set(s))]


def has_no_place_to_write(document: Document) -> list[str]:
    """Tell which services run code that uses a folder under ``var`` which is no volume of theirs."""
    return [
        f"{name} uses {folder}, which is no volume"
        for name, service in document["services"].items()
        for folder in sorted(folders.used_by(service) - targets(service))
    ]


def makes_what_is_mistyped(document: Document) -> list[str]:
    """Tell which services would get an empty folder where the host has no file of that name."""
    return [
        f"{name} makes {mount['source']} where it is missing"
        for name, service in document["services"].items()
        for mount in _mounts(service, dict)
        if mount["type"] == "bind" and mount.get("bind", {}).get("create_host_path") is not False
    ]


def builds_an_image_twice(document: Document) -> list[str]:
    """Tell which images several services build, and which services could fetch one that is built here."""
    services, faults = document["services"], []
    for image in sorted({service["image"] for service in services.values() if "build" in service}):
        builders = [name for name, s in services.items() if s["image"] == image and "build" in s]
        faults += [f"{', '.join(builders)} all build {image}"] if len(builders) > 1 else []
        others = {name: s for name, s in services.items() if s["image"] == image and name not in builders}
        faults += [f"{name} could fetch {image}" for name, s in others.items() if s.get("pull_policy") != "never"]
    return faults


def logs_without_end(document: Document) -> list[str]:
    """Tell whose output fills the disk in time."""
    bounded = {name: s.get("logging", {}).get("options", {}) for name, s in document["services"].items()}
    return [f"{name} logs without end" for name, how in bounded.items() if not {"max-size", "max-file"} <= set(how)]


def checks_health_by_code(document: Document) -> list[str]:
    """Tell whose health check some engine would tear apart: quotes, or a shell that may be missing."""
    tests = {n: s["healthcheck"]["test"] for n, s in document["services"].items() if "healthcheck" in s}
    return [f"{n} has {t}" for n, t in tests.items() if t[0] != "CMD" or any(re.search(r"[\s'\"]", word) for word in t)]


def leaves_an_owner_to_chance(document: Document) -> list[str]:
    """Tell which volumes belong to the user of whichever image has a container first: it copies its folder there."""
    owners: dict[str, dict[str, str]] = {}
    for name, service in document["services"].items():
        copying = [mount.split(":")[0] for mount in _mounts(service, str)]
        copying += [m["source"] for m in _mounts(service, dict) if not m.get("volume", {}).get("nocopy")]
        for volume in copying:
            owners.setdefault(volume, {})[service["image"]] = name
    shared = {volume: by for volume, by in owners.items() if volume[0] != "." and len(by) > 1}
    return [f"{volume} is copied to by {', '.join(by.values())}: nocopy but for one" for volume, by in shared.items()]


CHECKS: tuple[Callable[[Document], list[str]], ...] = (
    breaks_the_schema,
    names_what_is_not_there,
    waits_for_nothing,
    has_no_health_check,
    has_too_many_rights,
    opens_a_port_to_the_world,
    floats,
    tells_a_secret,
    is_limited,
    has_no_place_to_write,
    makes_what_is_mistyped,
    builds_an_image_twice,
    logs_without_end,
    checks_health_by_code,
    leaves_an_owner_to_chance,
)


def is_job(service: dict[str, Any]) -> bool:
    """Tell whether a service ends by itself."""
    return service.get("restart") == "no"


def targets(service: dict[str, Any]) -> set[str]:
    """Return the paths in a container at which something is mounted."""
    paths = {mount.split(":")[1] for mount in _mounts(service, str)}
    return paths | {mount["target"] for mount in _mounts(service, dict)} | set(service.get("tmpfs", []))


def documented_variables() -> set[str]:
    """Return every variable that .env.example shows, commented out or not."""
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def _mounts(service: dict[str, Any], form: type) -> list[Any]:
    return [mount for mount in service.get("volumes", []) if isinstance(mount, form)]


def _builds(build: dict[str, Any]) -> bool:
    return (ROOT / build["context"] / "Dockerfile").is_file()


def _is_a_secret(key: str, value: str) -> bool:
    """Tell whether a value is one, by its name or by its form; a mere address or path is none."""
    is_address = re.fullmatch(r"(https?|file)://[^@]*|/[\w./-]*", value)
    return bool(PASSWORD_IN_URL.search(value) or (SECRET.search(key) and not is_address))
