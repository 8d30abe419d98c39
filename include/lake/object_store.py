"""Object stores through Airflow: the address and the keys come from the Connection that the URI names."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from include.errors import ConfigError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def open_store(uri: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system that Airflow makes of a URI, which asks the store itself every time, and the root.

    Inside a task every Connection is found; outside one only those of the environment
    (``AIRFLOW_CONN_…``) and of a secrets backend, because nothing there may ask Airflow's database.

    Raises
    ------
    ConfigError
        Airflow knows no such file system or no such Connection. Retrying does not help.
    """
    from airflow.sdk import Connection, ObjectStoragePath
    from airflow.sdk.exceptions import AirflowException

    connection_id = urlsplit(uri).netloc.rpartition("@")[0]
    try:
        if connection_id:
            Connection.get(connection_id)  # Airflow would go on without it: to Amazon, and unsigned
        path = ObjectStoragePath(uri)
        filesystem = path.fs
    except (ImportError, ValueError, AirflowException) as error:
        raise ConfigError(
            f"the lake {uri!r} cannot be opened ({one_line(error)}): set CICLO_LAKE to file:///folder or to"
            " s3://connection@bucket/prefix, and define that Airflow Connection: docs/lake.md"
        ) from None
    # Listings and look-ups are kept for the life of a process otherwise, and others write as well.
    filesystem.dircache = type(filesystem.dircache)(use_listings_cache=False)
    return filesystem, str(path.path)


def abort_uploads(filesystem: Any, root: str, older_than: datetime) -> int:
    """Abort the uploads below a root that began before an instant and never ended; return how many.

    Nobody sees them, but S3 keeps and bills them. Other stores forget them by themselves.
    """
    if not hasattr(filesystem, "list_multipart_uploads"):
        return 0
    bucket, _, prefix = root.partition("/")
    count = 0
    for upload in filesystem.list_multipart_uploads(bucket):
        if upload["Key"].startswith(prefix) and upload["Initiated"] < older_than:
            filesystem.abort_mpu(bucket, upload["Key"], upload["UploadId"])
            count += 1
    return count


def faults() -> tuple[type[Exception], ...]:
    """Return what an object store raises when it does not answer or refuses."""
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from botocore.exceptions import ClientError as Refused

    return (OSError, ClientError, BotoCoreError, Refused)


def one_line(error: Exception) -> str:
    """Return an error's text without line breaks."""
    return " ".join(str(error).split())
