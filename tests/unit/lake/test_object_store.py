"""What only an object store does: others write to it, it goes away, half an upload must stay unseen."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from include.errors import SourceUnavailable
from include.lake.files import Files
from include.lake.store import Lake
from include.sources.payload import Payload
from include.windows import Window

JANUARY = Window.parse("2025-01-01", "2025-02-01")
PayloadOf = Callable[..., Payload]


def test_what_another_process_writes_or_deletes_is_seen_at_once(s3_uri: str, s3_client: Any) -> None:
    files, key = Files(s3_uri), f"{s3_uri.rpartition('/')[2]}/payloads/x"
    assert (files.names("payloads"), files.exists("payloads/x")) == ([], False)
    s3_client.put_object(Bucket="bucket", Key=key, Body=b"x")
    assert (files.names("payloads"), files.exists("payloads/x")) == (["payloads/x"], True)
    assert files.read(["payloads/x"]) == [b"x"]
    s3_client.delete_object(Bucket="bucket", Key=key)
    assert (files.names("payloads"), files.exists("payloads/x")) == ([], False)


@pytest.mark.parametrize("size", [10, 40_000_000], ids=["one_request", "several_parts"])
def test_a_write_that_fails_publishes_nothing(s3_uri: str, size: int) -> None:
    files = Files(s3_uri)
    failing = ExitStack()
    failing.enter_context(files.writing("payloads/x")).write(os.urandom(size))
    failing.callback(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing.close()
    assert not files.exists("payloads/x")


def test_neither_uri_nor_error_names_the_connection_or_its_keys(s3_uri: str, payload_of: PayloadOf) -> None:
    stored = Lake(s3_uri).put(payload_of(b"x"))
    assert stored.uri.startswith("s3://bucket/")
    with pytest.raises(SourceUnavailable, match="bucket does not exist") as caught:
        Lake("s3://lake_store@no-such-bucket/lake").put(payload_of(b"x"))
    assert not [word for word in ("key-id", "key-secret", "lake_store", "\n") if word in str(caught.value)]


def test_a_store_that_is_down_can_pass(
    connect: Callable[[str, str], None], free_ports: Callable[[], int], payload_of: PayloadOf
) -> None:
    connect("lake_down", f"http://127.0.0.1:{free_ports()}")
    lake = Lake("s3://lake_down@bucket/lake")
    for use in (lambda: lake.put(payload_of(b"x")), lambda: lake.fetches("p", "s", JANUARY)):
        with pytest.raises(
            SourceUnavailable, match=r"Could not connect.*look at its disk or bucket, rights and network"
        ):
            use()


def test_a_store_that_goes_away_while_a_payload_is_read_can_pass(
    s3_client: Any, connect: Callable[[str, str], None], payload_of: PayloadOf
) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    connect("lake_going", "http://{}:{}".format(*server.get_host_and_port()))
    lake = Lake("s3://lake_going@bucket/going")
    stored = lake.put(payload_of(os.urandom(40_000_000)))
    with lake.open(stored.uri) as stream:
        stream.read(1_000_000)
        server.stop()
        with pytest.raises(SourceUnavailable, match="the lake does not take or give"):
            stream.read()
