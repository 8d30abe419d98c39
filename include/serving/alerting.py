"""Tell people what the prediction service cannot mend by itself."""

from __future__ import annotations

import logging

import psycopg2

from include.spec.load import load_runnable

log = logging.getLogger("ciclo.serving")


def tell(database: str, pipeline: str, message: str, about: str) -> None:
    """Raise an alert, once however often it is called; while the warehouse does not answer, it is in the log only.

    Parameters
    ----------
    about : str
        What it is about, such as a version: where that and the message are the same, it is the same alert.
    """
    from sqlalchemy.exc import DBAPIError

    from include.alerts.record import raise_alert
    from include.warehouse.batch import RunRef
    from include.warehouse.engine import connect_engine

    spec = load_runnable().get(pipeline)
    if spec is None:
        log.error("%s: %s", pipeline, message)
        return
    try:
        with connect_engine(database).begin() as connection:
            raise_alert(connection, spec, "serving", message, RunRef(f"serve_{pipeline}", about))
    except (DBAPIError, psycopg2.Error) as error:
        log.error("%s: %s; the alert could not be recorded: %s", pipeline, message, error)
