"""Lakes to try everything on: a disk, memory, and an S3-compatible server behind an Airflow Connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest

from include.sources.payload import Payload, Spool

FETCHED_AT = datetime(2025, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
# A store that is down is to be noticed soon: by default its clients try for ten seconds.
IMPATIENT = {"retries": {"max_attempts": 0}, "connect_timeout": 1}


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """Start an S3 server; give its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3_address: str) -> Any:
    """Give a client of the S3 server that is not the lake's, and make the bucket ``bucket``."""
    import boto3

    keys = {"aws_access_key_id": "key-id", "aws_secret_access_key": "key-secret"}
    client = boto3.client("s3", endpoint_url=s3_address, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="bucket")
    return client


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Give a function that defines the Airflow Connection of an S3-compatible store: its id and the address."""

    def define(connection_id: str, address: str) -> None:
        extra = {"endpoint_url": address, "region_name": "us-east-1", "config_kwargs": IMPATIENT}
        told = {"conn_type": "aws", "login": "key-id", "password": "key-secret", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps(told))

    return define


@pytest.fixture
def s3_uri(s3_address: str, s3_client: Any, connect: Callable[[str, str], None]) -> str:
    """Give a lake of the test's own in the bucket, reached through the Connection ``lake_store``."""
    connect("lake_store", s3_address)
    return f"s3://lake_store@bucket/{uuid4().hex}"


@pytest.fixture(params=["file", "memory", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the root of an empty lake, on each kind of store."""
    if request.param == "s3":
        yield request.getfixturevalue("s3_uri")
    elif request.param == "file":
        yield f"file://{tmp_path}/lake"
    else:
        name = uuid4().hex
        yield f"memory://{name}"
        memory = fsspec.filesystem("memory")
        if memory.exists(f"/{name}"):
            memory.rm(f"/{name}", recursive=True)


@pytest.fixture(scope="session")
def store() -> Callable[[str], tuple[fsspec.AbstractFileSystem, str]]:
    """Give a function that returns the bare file system below a lake and the root in it."""

    def open_store(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if not uri.startswith("s3"):
            return fsspec.core.url_to_fs(uri)
        from airflow.sdk import ObjectStoragePath

        path = ObjectStoragePath(uri)
        return path.fs, path.path

    return open_store


@pytest.fixture(scope="session")
def files_below(store: Callable[[str], tuple[fsspec.AbstractFileSystem, str]]) -> Callable[[str], list[str]]:
    """Give a function that lists what lies in a lake."""

    def list_files(uri: str) -> list[str]:
        filesystem, root = store(uri)
        return sorted(path.removeprefix(f"{root}/") for path in filesystem.find(root))

    return list_files


@pytest.fixture(scope="session")
def payload_of() -> Callable[..., Payload]:
    """Give a function that makes a payload of bytes."""

    def make(content: bytes, fetched_at: datetime = FETCHED_AT) -> Payload:
        request = {"method": "GET", "url": "https://example.org/***"}
        headers = {"content-type": "application/json", "etag": '"ñ"'}
        return Payload(Spool.of([content]), "application/json", request, 200, headers, fetched_at, is_simulated=True)

    return make
