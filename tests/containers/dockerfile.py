"""Reads the Dockerfile and .dockerignore, as far as this project's files go."""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from tests.containers.compose import ROOT

Instruction = tuple[str, str]
READABLE = "chmod -R a+rX ."

# A base tag of the Apache Airflow image: version of Airflow and of Python, with or without its providers.
AIRFLOW_TAG = re.compile(r"apache/airflow:(?:slim-)?(?P<airflow>\d+\.\d+\.\d+)-python(?P<python>\d+\.\d+)")


def instructions(text: str | None = None) -> list[Instruction]:
    """Return each instruction with its arguments, continuation lines joined and comments left out."""
    text = (ROOT / "Dockerfile").read_text() if text is None else text
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = [line.strip().split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), rest[0] if rest else "") for word, *rest in parts]


def default_base(found: list[Instruction]) -> str:
    """Return the base image of a build without arguments."""
    values = dict(rest.split("=", 1) for word, rest in found if word == "ARG" and "=" in rest)
    base = next(rest for word, rest in found if word == "FROM")
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], base)


def faults(found: list[Instruction]) -> list[str]:
    """Return one sentence for each rule that the Dockerfile breaks."""
    told = []
    if not AIRFLOW_TAG.fullmatch(default_base(found)):
        told.append(f"{default_base(found)} is no Apache Airflow image of a fixed version")
    users = [rest for word, rest in found if word == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        told.append("the image runs as root")
    installs = [rest for word, rest in found if word == "RUN" and "pip install" in rest]
    if not installs or any("--require-hashes" not in rest or "requirements.txt" not in rest for rest in installs):
        told.append("packages are installed that the lock and its hashes do not cover")
    last_copy = max(place for place, (word, _) in enumerate(found) if word == "COPY")
    if not any(word == "RUN" and READABLE in rest for word, rest in found[last_copy:]):
        told.append("what a checkout under umask 077 holds cannot be read by the image's user")
    for word, rest in found:
        if word in ("ENV", "ARG", "LABEL") and re.search(r"PASSWORD|SECRET|TOKEN|FERNET|_KEY\b", rest):
            told.append(f"{word} {rest} carries a secret")
        if word == "ADD":
            told.append("ADD downloads and unpacks; use COPY")
        sources = rest.split()[:-1] if word == "COPY" else []
        told += [f"COPY {source} has nothing to copy" for source in sources if not _is_sent(source)]
    return told


def is_sent(path: str, rules: list[str]) -> bool:
    """Tell whether the build gets to see `path`: the last rule that fits it or a folder above it decides."""
    sent = True
    for rule in rules:
        excludes, pattern = not rule.startswith("!"), rule.removeprefix("!").strip("/")
        if any(_fits(part, pattern) for part in (PurePosixPath(path), *PurePosixPath(path).parents)):
            sent = not excludes
    return sent


def ignore_rules(text: str | None = None) -> list[str]:
    """Return the rules of .dockerignore in order."""
    text = (ROOT / ".dockerignore").read_text() if text is None else text
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _fits(path: PurePosixPath, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(path.name, pattern.removeprefix("**/"))
    return path.parts != () and len(path.parts) == len(pattern.split("/")) and fnmatchcase(str(path), pattern)


def _is_sent(source: str) -> bool:
    return source == "." or ((ROOT / source).exists() and is_sent(source, ignore_rules()))
