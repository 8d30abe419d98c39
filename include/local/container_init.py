"""What containers need once before their services start: ``python -m include.local.container_init``.

The preparation of the one-machine runtime, done for servers that something else runs, such as
``docker-compose.yaml``. It can be run again at any time; what is there already stays.
"""

import os
import sys

from include.errors import CicloError
from include.local import airflow_settings, environment, preflight, preparation
from include.settings import settings


def prepare() -> None:
    """Prepare folders, roles and databases, the schemas, the simulated core banking and Airflow's declarations.

    Raises
    ------
    ConfigError
        Postgres does not let us in, or ``airflow_settings.yaml`` names a variable that is not set.
    SourceUnavailable
        Postgres went away in between. Retrying may help.
    """
    preflight.check_postgres("correct CICLO_SECRET_POSTGRES in .env, or see the log of the service postgres")
    preparation.prepare_files()
    _lay_out_balancer()
    preparation.create_databases()
    preparation.migrate_warehouse()
    preparation.seed_core_banking()
    variables = os.environ | environment.connection_env(os.environ)
    airflow_settings.apply(airflow_settings.read(airflow_settings.FILE, variables), migrate=True)


def _lay_out_balancer() -> None:
    """Copy the load balancer's configuration to its volume, where every user can read it."""
    folder = settings().var / "balancer"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)  # a volume has the mode of the image's folder, which is closed to other users
    copy = folder / "haproxy.cfg"
    copy.write_bytes((settings().root / "config" / "haproxy.cfg").read_bytes())
    copy.chmod(0o644)


if __name__ == "__main__":
    try:
        prepare()
    except (CicloError, OSError) as error:
        sys.exit(str(error))
