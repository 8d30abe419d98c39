"""What a listener remembers beyond a restart of the triggerer, in Airflow's store for the asset it watches."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

KEY = "newest_row"
log = logging.getLogger(__name__)


async def recall(store: AssetStateStoreAccessors | None) -> str | None:
    """Return the time of the newest row that was seen, or None where nothing is remembered."""
    try:
        known = await store.aget(KEY) if store is not None else None
    except AirflowRuntimeError as error:
        _warn(error)
        return None
    return None if known is None else str(known)


async def keep(store: AssetStateStoreAccessors | None, newest: str) -> None:
    """Remember the time of the newest row that was seen."""
    try:
        if store is not None:
            await store.aset(KEY, newest)
    except AirflowRuntimeError as error:
        _warn(error)


def _warn(error: AirflowRuntimeError) -> None:
    """Say what it costs; listening goes on, since a memory is only needed after a restart."""
    log.warning("Airflow does not remember the newest row (%s): after a restart nobody knows what was missed", error)
