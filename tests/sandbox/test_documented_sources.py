"""The `sources:` blocks of docs/sources.md, word for word, over HTTP from the sandbox to rows."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from include.local.airflow_settings import FILE as AIRFLOW_SETTINGS
from include.sources import Endpoint, Payload, fetch, parse
from include.spec.lines import read
from include.spec.model import AnySource
from include.windows import Window

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
JANUARY = Window.parse("2025-01-01", "2025-02-01")


def documented() -> Iterator[tuple[str, Any]]:
    section = PAGE.read_text("utf-8").partition("## http_json\n")[2].partition("\n## ")[0]
    for block in re.findall(r"^```yaml\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        for name, source in read(block).data["sources"].items():
            yield name, TypeAdapter(AnySource).validate_python(source)


SOURCES = dict(documented())


def load(name: str, url: str, window: Window = JANUARY) -> tuple[list[Payload], pd.DataFrame]:
    payloads = list(fetch("p", name, SOURCES[name], Endpoint(url), window))
    batches = list(parse("p", name, SOURCES[name], [payload.body.open for payload in payloads], window))
    return payloads, pa.Table.from_batches(batches).to_pandas() if batches else pd.DataFrame()


def test_the_page_documents_both_services() -> None:
    assert list(SOURCES) == ["fix", "air"]


@pytest.mark.parametrize("name", SOURCES)
def test_their_connections_and_pools_are_declared(name: str) -> None:
    declared = AIRFLOW_SETTINGS.read_text("utf-8")
    assert f"conn_id: {SOURCES[name].connection} " in declared
    assert f"pool_name: {SOURCES[name].connection}\n" in declared


def test_the_fix_by_frankfurter_is_the_fix(sandbox) -> None:
    (payload,), rows = load("fix", sandbox.url)
    assert payload.request["url"].endswith(
        "/v2/rates?providers=BANXICO&base=USD&quotes=MXN&from=2025-01-01&to=2025-01-31"
    )
    series = sandbox.sie("SF43718/datos/2025-01-01/2025-01-31").json()["bmx"]["series"][0]["datos"]
    assert rows["valid_at"].dt.strftime("%d/%m/%Y").tolist() == [row["fecha"] for row in series]
    assert [float(text) for text in rows["fix_mxn"]] == [float(row["dato"]) for row in series]
    assert rows["available_at"][0] == pd.Timestamp("2025-01-02T18:00Z")
    assert not payload.is_simulated


def test_a_weekend_without_a_fix_has_no_rows(sandbox) -> None:
    payloads, rows = load("fix", sandbox.url, Window.parse("2025-01-04", "2025-01-06"))
    assert [payload.content for payload in payloads] == [b"[]"]
    assert rows.empty


def test_open_meteos_columns_become_hourly_rows_that_are_simulated(sandbox) -> None:
    (payload,), rows = load("air", sandbox.url)
    assert payload.is_simulated
    assert rows["valid_at"].tolist() == list(pd.date_range("2025-01-01", "2025-02-01", freq="h", tz="UTC")[:-1])
    params = SOURCES["air"].params | {"start_date": "2025-01-01", "end_date": "2025-01-31"}
    hourly = sandbox.get("/v1/air-quality", params=params).json()["hourly"]
    assert [float(text) for text in rows["co_ug_m3"]] == hourly["carbon_monoxide"]
    assert [float(text) for text in rows["pm2_5_ug_m3"]] == hourly["pm2_5"]
