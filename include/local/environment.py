"""The environment every component shares: the one place where Airflow and MLflow are configured.

Secrets travel here and nowhere else; no command line carries one.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from dotenv import dotenv_values

from include.local.postgres import binary, with_database
from include.local.processes import MARKER
from include.local.secrets import secret
from include.local.warm import warm_modules
from include.settings import Settings, env_file, settings

HOST = "127.0.0.1"
TLS = ("sslmode", "sslrootcert")


def superuser_url() -> str:
    """Return the URL of the server's administrator: the embedded one, or the one named in ``.env``."""
    own = f"postgresql://postgres:{secret('postgres')}@{HOST}:{settings().postgres_port}/postgres"
    return settings().postgres_url or own


def database_url(name: str) -> str:
    """Return the URL of the database `name` as the role of the same name, password included."""
    return with_database(superuser_url(), name, name, secret(f"postgres_{name}"))


def serving_url() -> str:
    """Return the URL of the warehouse as the role of the prediction service, password included."""
    return with_database(superuser_url(), "warehouse", "serving", secret("postgres_serving"))


def airflow_url() -> str:
    """Return the address of Airflow's web UI and API: the local one, or the one named."""
    return settings().airflow_url or f"http://{HOST}:{settings().airflow_port}"


def mlflow_url() -> str:
    """Return the address of MLflow: the local one, or the one named in ``.env``."""
    return settings().mlflow_url or f"http://{HOST}:{settings().mlflow_port}"


def sandbox_url() -> str:
    """Return the address of the sandbox that stands in for the public sources: the local one, or the one named."""
    return settings().sandbox_url or f"http://{HOST}:{settings().sandbox_port}"


def component_env() -> dict[str, str]:
    """Return what every component finds in its environment, on top of the caller's own.

    The result depends on ``.env``, the ``CICLO_`` variables and ``var/secrets`` only, so that
    two calls give the same and a change is seen as one.
    """
    options = settings()
    dotenv = _dotenv(env_file())
    return {
        **dotenv,
        **_settings_env(options),
        **_airflow_env(options),
        **_mlflow_env(options),
        **connection_env(dotenv | os.environ),
        **_platform_env(options),
        "CICLO_SERVING_DATABASE": serving_url(),
        "CICLO_SERVING_HASH_KEY": secret("hash_key"),
        "CICLO_METRICS_TOKEN": secret("metrics_token"),
        MARKER: str(options.var),
        "PYTHONPATH": os.pathsep.join([str(options.root), str(options.root / "config")]),
        "GX_ANALYTICS_ENABLED": "false",
        **dict.fromkeys(("NO_PROXY", "no_proxy"), _without_proxy(dotenv | os.environ)),
        # Without it process titles overwrite the environment, and `down` could not see the marker.
        "SPT_NOENV": "1",
    }


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment without what would redirect our Airflow, MLflow, Postgres or Python."""
    foreign = ("AIRFLOW", "MLFLOW", "_MLFLOW", "PG", "PYTHON")
    return {key: value for key, value in environ.items() if not key.startswith(foreign)}


def shell_env() -> dict[str, str]:
    """Return what makes ``airflow``, ``mlflow`` and ``psql`` of a shell talk to this runtime.

    It holds no ``CICLO_`` setting, which would outlive a change of ``.env``, and no marker,
    with which `down` would end the shell itself.
    """
    wanted = ("AIRFLOW", "MLFLOW", "PYTHONPATH", "GX_", "GIT_PYTHON", "NO_PROXY", "no_proxy", "OBJC")
    return {key: value for key, value in component_env().items() if key.startswith(wanted)} | {
        # The airflow command says so on every call, and nothing here draws with it.
        "PYTHONWARNINGS": "ignore:Could not import graphviz",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(binary("psql").parent), os.environ["PATH"]]),
        **{f"PG{key}": value for key, value in _server().items()},
        **{"PGUSER": "warehouse", "PGDATABASE": "warehouse"},
        "PGPASSFILE": str(settings().var / "secrets" / "pgpass"),
    }


def _without_proxy(given: Mapping[str, str]) -> str:
    """Return the hosts that are asked directly: the caller's and, in any case, our own."""
    known = (given.get("no_proxy") or given.get("NO_PROXY") or "").split(",")
    return ",".join(dict.fromkeys(name for name in [*known, HOST, "localhost"] if name))


def _dotenv(path: Path) -> dict[str, str]:
    """Return ``.env``; a variable that the caller has set as well keeps the caller's value."""
    return {key: os.environ.get(key, value) for key, value in dotenv_values(path).items() if value is not None}


def _settings_env(options: Settings) -> dict[str, str]:
    """Return the settings as the ``CICLO_`` variables that give the same settings again."""
    values = options.model_dump(mode="json", exclude={"root"}, exclude_none=True)
    return {f"CICLO_{key.upper()}": str(value) for key, value in values.items()}


def connection_env(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that ``airflow_settings.yaml`` names and nobody has set.

    A source stands in the sandbox until its address is set. From then on its other variables are the user's as well, so
    that no sandbox token reaches a real host and no real token the sandbox.
    """

    def database(prefix: str, name: str, role: str | None = None) -> dict[str, str]:
        user = role or name
        own = {"NAME": name, "USER": user, "PASSWORD": secret(f"postgres_{user}")}
        return {f"{prefix}_{key}": value for key, value in {**_server(), **own}.items()}

    values = database("WAREHOUSE", "warehouse", "etl") | database("METADATA", "airflow")
    values |= {"INTERNAL_DB_HASH_KEY": secret("hash_key")}
    banxico, inegi = secret("sandbox_banxico_token"), secret("sandbox_inegi_token")
    values |= {"CICLO_SANDBOX_BANXICO_TOKEN": banxico, "CICLO_SANDBOX_INEGI_TOKEN": inegi}
    stand_ins = {"BANXICO_API_URL": {"BANXICO_TOKEN": banxico}, "INEGI_API_URL": {"INEGI_TOKEN": inegi}}
    stand_ins |= {f"{name}_API_URL": {} for name in ("UCI", "FRANKFURTER", "OPEN_METEO")}
    for address, rest in stand_ins.items():
        if address not in given:
            values |= {address: sandbox_url(), **rest}
    if "LOCAL_FILES_URL" not in given:
        values["LOCAL_FILES_URL"] = f"file://{settings().var}/files"
    if "INTERNAL_DB_HOST" not in given:
        values |= database("INTERNAL_DB", "core_banking")
    return values


def _server() -> dict[str, str]:
    """Return where the Postgres server is and how its connections are encrypted."""
    url = urlsplit(superuser_url())
    tls = {"SSLMODE": "prefer"} | {key.upper(): value for key, value in parse_qsl(url.query) if key in TLS}
    return {"HOST": url.hostname or HOST, "PORT": str(url.port or 5432), **tls}


def _airflow_env(options: Settings) -> dict[str, str]:
    logs, metadata = options.var / "log" / "airflow", database_url("airflow")
    values = {
        "CORE__DAGS_FOLDER": options.dags,
        "CORE__PLUGINS_FOLDER": options.root / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": options.scheduler_workers,
        "CORE__FERNET_KEY": secret("airflow_fernet"),
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # no DNS look-up on a laptop without a network
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": options.var / "secrets" / "airflow_passwords.json",
        "CORE__EXECUTION_API_SERVER_URL": f"{airflow_url()}/execution/",
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": 5,
        "DATABASE__SQL_ALCHEMY_CONN": metadata.replace("postgresql", "postgresql+psycopg2", 1),
        "API__HOST": HOST,
        "API__PORT": options.airflow_port,
        "API__BASE_URL": airflow_url(),
        "API__WORKERS": 1,
        "API__SECRET_KEY": secret("airflow_api"),
        "API_AUTH__JWT_SECRET": secret("airflow_jwt"),
        "LOGGING__BASE_LOG_FOLDER": logs,
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": logs / "dag_processor",
        # A task waits for the scheduler's next look; looking four times a second costs little.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        # A task's supervisor can miss the end of its task and then sleeps for one heartbeat, with
        # its worker; a short one frees the worker soon. As long without an API as before is forgiven.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        "WORKERS__MAX_FAILED_HEARTBEATS": 30,
        # New files are seen within 10 s and changed ones at once, but a change during a parse is
        # missed until the file's turn comes again.
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 20,
    }
    if "?" in metadata:  # Airflow's own choice, asyncpg, does not understand how a connection is to be encrypted
        values["DATABASE__SQL_ALCHEMY_CONN_ASYNC"] = metadata.replace("postgresql", "postgresql+psycopg", 1)
    return {"AIRFLOW_HOME": str(options.var / "airflow")} | {f"AIRFLOW__{k}": str(v) for k, v in values.items()}


def _mlflow_env(options: Settings) -> dict[str, str]:
    server = {
        "MLFLOW_BACKEND_STORE_URI": database_url("mlflow").replace("postgresql", "postgresql+psycopg2", 1),
        "MLFLOW_ARTIFACTS_DESTINATION": f"file://{options.var}/mlflow",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"localhost:{options.mlflow_port},{HOST}:{options.mlflow_port}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return {
        "MLFLOW_TRACKING_URI": mlflow_url(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A server that is down is reported in seconds; by default the client tries for four minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        **({} if options.mlflow_url else server),
    }


def _platform_env(options: Settings) -> dict[str, str]:
    """Return what macOS needs: it spawns by default, and its frameworks forbid a plain fork."""
    if sys.platform != "darwin":
        return {}
    return {
        "AIRFLOW__CORE__MP_START_METHOD": "forkserver",
        "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": ",".join(warm_modules()) if options.warm_workers else "",
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
    }
