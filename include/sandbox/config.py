"""What the sandbox can be told, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from include.errors import ConfigError
from include.sandbox.rate_limit import Limits

UCI_URL = "https://archive.ics.uci.edu/static/public/360/air+quality.zip"
VAR = Path(__file__).resolve().parents[2] / "var"


@dataclass(frozen=True)
class SandboxConfig:
    """One sandbox's settings.

    Parameters
    ----------
    banxico_token, inegi_token : str
        The only tokens that are accepted.
    var : Path
        Where a downloaded file is kept, under `uci/`, and which injections stand, under `sandbox/`.
    uci_file : Path or None
        The real UCI file (csv or zip). It must be readable when named.
    uci_url : str or None
        Where to download that file from; None tries no download.
    download_s : float
        Seconds the whole download may take before the simulated station is used.
    not_published : frozenset of (str, date)
        Series id and day that Banxico answers with `N/E`.
    has_faults : bool
        Whether `/faults` exists, through which a test makes the sandbox misbehave.
    """

    banxico_token: str
    inegi_token: str
    var: Path = VAR
    uci_file: Path | None = None
    uci_url: str | None = UCI_URL
    download_s: float = 4.0
    limits: Limits = field(default_factory=Limits)
    not_published: frozenset[tuple[str, date]] = frozenset()
    has_faults: bool = False

    @property
    def injections(self) -> Path:
        """The folder of the injections that stand."""
        return self.var / "sandbox"


def from_environment(environ: Mapping[str, str], has_faults: bool = False) -> SandboxConfig:
    """Build the settings from environment variables.

    Parameters
    ----------
    environ : mapping of str to str
        `CICLO_SANDBOX_BANXICO_TOKEN` and `CICLO_SANDBOX_INEGI_TOKEN` are required. Optional:
        `UCI_AIR_QUALITY_FILE`, `CICLO_VAR`, `CICLO_SANDBOX_UCI_URL` (empty tries no download),
        `CICLO_SANDBOX_LIMIT_RECENT` (a minute), `CICLO_SANDBOX_LIMIT_HISTORY` (5 minutes),
        `CICLO_SANDBOX_LIMIT_DAY`, `CICLO_SANDBOX_NOT_PUBLISHED` (`SF43718:2025-12-12,…`).

    Raises
    ------
    ConfigError
        A variable is missing or unreadable. A retry brings the same.
    """
    file = environ.get("UCI_AIR_QUALITY_FILE")
    return SandboxConfig(
        banxico_token=_required(environ, "CICLO_SANDBOX_BANXICO_TOKEN"),
        inegi_token=_required(environ, "CICLO_SANDBOX_INEGI_TOKEN"),
        var=Path(environ.get("CICLO_VAR") or VAR),
        uci_file=Path(file) if file else None,
        uci_url=environ.get("CICLO_SANDBOX_UCI_URL", UCI_URL) or None,
        limits=Limits(
            recent=_count(environ, "CICLO_SANDBOX_LIMIT_RECENT", Limits.recent),
            history=_count(environ, "CICLO_SANDBOX_LIMIT_HISTORY", Limits.history),
            day=_count(environ, "CICLO_SANDBOX_LIMIT_DAY", Limits.day),
        ),
        not_published=_days(environ, "CICLO_SANDBOX_NOT_PUBLISHED"),
        has_faults=has_faults,
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    if value := environ.get(name):
        return value
    raise ConfigError(f"The sandbox needs {name}: set it to the token that clients must send.")


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise ConfigError(f"{name} is {text!r}: set it to a whole number of requests.")
    return int(text)


def _days(environ: Mapping[str, str], name: str) -> frozenset[tuple[str, date]]:
    days = set()
    for entry in filter(None, environ.get(name, "").split(",")):
        series, _, day = entry.strip().partition(":")
        try:
            days.add((series, date.fromisoformat(day)))
        except ValueError as error:
            raise ConfigError(f"{name} holds {entry!r}: write SERIES:YYYY-MM-DD, separated by commas.") from error
    return frozenset(days)
