"""Where this installation lives and which addresses it uses.

Read from the environment (prefix ``CICLO_``) and, below it, from ``.env`` in the
repository's root. Everything has a default: an empty environment is a working one.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from include.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """The options of one installation; relative paths count from the repository's root.

    Attributes
    ----------
    root
        The repository.
    var
        Everything the runtime writes: delete it and start anew.
    airflow_port, mlflow_port, predictions_port, postgres_port, sandbox_port
        TCP ports on 127.0.0.1.
    postgres_url
        A Postgres server to use instead of the embedded one, as a ``postgresql://`` URL of
        a role that may create roles and databases.
    mlflow_url
        An MLflow server to use instead of a local one.
    sandbox_url, airflow_url
        A sandbox and an Airflow that run elsewhere, as in containers, to use instead of local ones.
    predictions_url
        Prediction services that run elsewhere, as in containers: one address, or several with a comma between.
    predictions_certificate, predictions_key
        PEM files with which the prediction service speaks HTTPS.
    predictions_rate
        Requests a second that one subject may send to the prediction service; 0 for no limit.
    serving_keys
        Keys of its tokens from a secrets backend, see ``include.security.keys``; by default they are files in `var`.
    dags
        Folder of the DAG files.
    pipelines
        Folder of the pipelines, ``<name>/pipeline.yaml`` each.
    lake
        URL under which payloads are kept, such as ``s3://<Airflow connection>@bucket/prefix``; by
        default the folder ``lake`` in `var`. It holds no key: see docs/lake.md.
    scheduler_workers
        How many tasks run at the same time.
    warm_workers
        Whether task processes inherit the heavy imports (see ``include.local.warm``).
    serving_spool_mb
        How much of what the prediction service answered may wait for the warehouse, MB.
    serving_sync
        Whether each prediction waits until its log would survive a loss of power.
    """

    model_config = SettingsConfigDict(
        env_prefix="CICLO_", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    root: Path = ROOT
    var: Path = Path("var")
    airflow_port: int = Field(default=8080, ge=1, le=65535)
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    predictions_port: int = Field(default=8000, ge=1, le=65535)
    postgres_port: int = Field(default=55432, ge=1, le=65535)
    sandbox_port: int = Field(default=8900, ge=1, le=65535)
    postgres_url: str | None = Field(default=None, pattern=r"^postgres(ql)?://\S+$")
    mlflow_url: str | None = Field(default=None, pattern=r"^https?://\S+[^/\s]$")
    sandbox_url: str | None = Field(default=None, pattern=r"^https?://\S+[^/\s]$")
    airflow_url: str | None = Field(default=None, pattern=r"^https?://\S+[^/\s]$")
    predictions_url: str | None = Field(default=None, pattern=r"^https?://\S+[^/\s]$")
    predictions_certificate: Path | None = None
    predictions_key: Path | None = None
    predictions_rate: float = Field(default=20_000, ge=0)
    serving_keys: str = Field(default="", repr=False)
    dags: Path = Path("dags")
    pipelines: Path = Path("include/pipelines")
    lake: str = ""
    scheduler_workers: int = Field(default=4, ge=1)
    warm_workers: bool = True
    serving_spool_mb: int = Field(default=1024, ge=1)
    serving_sync: bool = False

    @field_validator("lake")
    @classmethod
    def _refuse_keys(cls, value: str) -> str:
        if re.match(r"[^/]*://[^/@]*:.*@", value):
            raise ValueError("keys belong in an Airflow Connection: name it, s3://connection@bucket/prefix")
        return value

    @model_validator(mode="after")
    def _resolve(self) -> "Settings":
        for name in ("var", "dags", "pipelines", "predictions_certificate", "predictions_key"):
            if (path := getattr(self, name)) is not None:
                setattr(self, name, (self.root / path).resolve())
        self.lake = self.lake or f"file://{self.var}/lake"
        return self

    @property
    def predictions_urls(self) -> list[str]:
        """Addresses of the prediction service: the local one, or those named."""
        scheme = "https" if self.predictions_certificate else "http"
        return (self.predictions_url or f"{scheme}://127.0.0.1:{self.predictions_port}").split(",")


def env_file() -> Path:
    """Return the file of options: ``.env`` in the root, or what ``CICLO_ENV_FILE`` names."""
    return Path(os.environ.get("CICLO_ENV_FILE") or ROOT / ".env")


@cache
def settings() -> Settings:
    """Return the settings of this process, read once.

    Raises
    ------
    ConfigError
        A ``CICLO_`` variable has a value it cannot have. Retrying does not help.
    """
    try:
        source: dict[str, Any] = {"_env_file": env_file()}
        return Settings(**source)
    except ValidationError as error:
        first = error.errors()[0]
        name = "CICLO_" + "_".join(str(part) for part in first["loc"]).upper()
        shown = re.sub(r"://.*@", "://***@", str(first["input"]))
        raise ConfigError(f"{name}={shown} is refused ({first['msg']}); correct it in .env.") from error
