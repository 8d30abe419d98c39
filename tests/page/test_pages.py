"""What the pages say is what SQL gives, and whatever others wrote is shown as text."""

import hashlib
import re
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from fastapi import FastAPI

from include.health.looking import look
from include.lake.store import Lake
from include.page.app import ciclo
from include.page.board import Board
from tests.page.conftest import AWAY, Client
from tests.page.story import CONTENT, HOURS, RUN, SCRIPT


def text(html: str) -> str:
    """Return a page's words, without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html.partition("<main")[2])).split())


@pytest.fixture
def pages(page: Client, story) -> list[str]:
    """Every page there is of the story."""
    paths = ["", "pipeline/readings", "reports", "scorecard", "runbooks", "model/readings/2"]
    paths += [f"payload/{number}" for number in (story.payload, story.gone)]
    paths += [f"decision/{number}" for number in story.decisions]
    paths += [f"prediction/{number}" for number in (story.prediction, story.served)]
    paths += [f"run?dag_id={RUN.dag_id}&run_id={RUN.run_id.replace('+', '%2B')}"]
    answers = [page.get(f"/ciclo/{path}") for path in paths]
    assert {answer.status_code for answer in answers} == {200}, [answer.url for answer in answers]
    return [answer.text for answer in answers]


def test_a_card_shows_what_sql_gives(page: Client, warehouse) -> None:
    seen = text(page.get("/ciclo/").text)
    rows = warehouse.one("select count(*) from core.readings")
    [(verdict, at)] = warehouse.sql("select verdict, decided_at from ml.decision order by decision_id desc limit 1")
    assert rows == HOURS
    assert f"rows {rows}" in seen
    assert f"last decision {verdict}, {at:%Y-%m-%d %H:%M}" in seen
    assert "SIMULATED" in seen


def test_what_could_not_be_read_is_unknown_with_the_reason(page: Client) -> None:
    seen = text(page.get("/ciclo/").text)
    assert "serving unknown MLflow does not answer" in seen
    assert "champion unknown" in seen
    assert "MLflow at http://127.0.0.1:9 does not answer" in seen


def test_a_grade_is_a_word_and_a_shape_and_its_runbook_is_linked(page: Client) -> None:
    html = page.get("/ciclo/").text
    assert re.search(r'class="grade degraded"><span aria-hidden="true">✕</span> run failing', html)
    assert 'href="/ciclo/runbooks/failure"' in html


def test_why_a_model_is_live_is_told_out_of_the_ledger(page: Client, story) -> None:
    seen = text(page.get("/ciclo/pipeline/readings").text)
    _, _, _, back, _ = story.decisions
    assert "Why is version 1 live?" in seen
    assert f"It came back for version 2, by ana: it was wrong at night. [{back}]" in seen
    assert "It is on no probation: it was tried before." in seen
    assert "Version 2 was promoted" in seen


def test_a_promotion_is_told_with_numbers_and_who_approved(page: Client, story) -> None:
    seen = text(page.get(f"/ciclo/decision/{story.decisions[2]}").text)
    assert "mae 12.3 % smaller than the champion's on the same 120 held-out rows" in seen
    assert "approved by ada at 2025-02-01 09:00:00" in seen
    assert "Its hash is that of its content" in seen


def test_what_waits_for_a_person_has_the_way_to_do_it(page: Client) -> None:
    html = page.get("/ciclo/pipeline/readings").text
    assert 'href="/dags/train_readings/runs/t3/required_actions"' in html
    assert 'href="/dags/label_readings"' in html
    assert 'href="/dags/quarantine_readings"' in html
    assert "1 rows in quarantine" in text(html)


def test_each_point_of_the_timeline_leads_to_evidence(page: Client, story) -> None:
    html = page.get("/ciclo/pipeline/readings").text
    drawing = re.search(r'<svg class="timeline".*?</svg>', html, re.S)[0]
    leads = re.findall(r'<a href="([^"]+)" tabindex="-1">', drawing)
    assert {f"/ciclo/decision/{number}" for number in story.decisions} <= set(leads)
    assert len(leads) == len(story.decisions) + 2  # and a load, and an alert
    assert {page.get(unescape(path)).status_code for path in leads} == {200}


def test_the_timeline_goes_back_in_time(page: Client, story, warehouse) -> None:
    [(at,)] = warehouse.sql("select decided_at from ml.decision where decision_id = %s", story.decisions[2])
    html = page.get(f"/ciclo/pipeline/readings?before={at.isoformat().replace('+', '%2B')}").text
    drawing = html.partition('<svg class="timeline"')[2].partition("</svg>")[0]
    shown = {number for number in story.decisions if f"/ciclo/decision/{number}" in drawing}
    assert shown == set(story.decisions[:2])


def test_a_prediction_leads_to_its_rows_its_payload_and_the_very_bytes(page: Client, story, warehouse) -> None:
    html = page.get(f"/ciclo/prediction/{story.prediction}").text
    assert f'href="/ciclo/payload/{story.payload}"' in html
    assert "What came:" in text(html)
    kept = page.get(f"/ciclo/payload/{story.payload}").text
    assert "✓ the bytes have it" in kept
    answer = page.get(f"/ciclo/payload/{story.payload}/bytes")
    sha256 = warehouse.one("select sha256 from raw.payload where payload_id = %s", story.payload)
    assert answer.content == CONTENT
    assert hashlib.sha256(answer.content).hexdigest() == sha256
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_answered_request_is_found_by_its_name_with_what_it_sent(page: Client, story) -> None:
    several = page.get("/ciclo/prediction?id=req-7")
    assert f"/ciclo/prediction/{story.served}" in several.text
    seen = text(page.get(f"/ciclo/prediction/{story.served}").text)
    assert "level_m is beyond what was learnt" in seen
    assert "2.25" in seen
    assert "asked by desk" in seen
    found = page.get(f"/ciclo/prediction?id={story.prediction}")
    assert found.headers["location"] == f"/ciclo/prediction/{story.prediction}"


def test_a_run_tells_what_it_loaded_and_from_which_payload(page: Client, story) -> None:
    html = page.get(f"/ciclo/run?dag_id={RUN.dag_id}&run_id={RUN.run_id.replace('+', '%2B')}").text
    assert f'href="/ciclo/payload/{story.payload}"' in html
    assert "/ciclo/docs/quality/run?dag_id=ingest_readings" in html
    assert "core.readings" in html


def test_what_others_wrote_is_never_run(pages: list[str]) -> None:
    assert not any(SCRIPT in html for html in pages)
    assert sum("&lt;script&gt;document.title" in html for html in pages) >= 3


def test_pages_ask_nobody_else_and_run_one_script_of_ours(page: Client, pages: list[str]) -> None:
    policy = page.get("/ciclo/").headers["content-security-policy"]
    for html in pages:
        assert re.findall(r"<script", html) == ["<script"]
        [integrity] = re.findall(r'<script src="/ciclo/theme.js" integrity="([^"]+)"></script>', html)
        assert f"script-src '{integrity}'" in policy
        assert not re.search(r'(?:src|action)="(?:https?:)?//', html)
        assert "@import" not in html
        assert "url(" not in html


def test_a_payload_that_is_gone_is_said_so(page: Client, story) -> None:
    seen = page.get(f"/ciclo/payload/{story.gone}")
    assert 'role="alert"' in seen.text
    assert "Download" not in seen.text
    assert page.get(f"/ciclo/payload/{story.gone}/bytes").status_code == 503


def test_a_payload_that_is_damaged_is_said_so(page: Client, story, place) -> None:
    lake = Lake(place.lake_url)
    with place.engine.begin() as connection:
        values = (story.payload,)
        uri = connection.exec_driver_sql("select uri from raw.payload where payload_id = %s", values).scalar_one()
    file = uri.removeprefix("file://")
    with open(file, "rb") as kept:
        before = kept.read()
    try:
        with open(file, "wb") as broken:
            broken.write(before[:-9])
        seen = page.get(f"/ciclo/payload/{story.payload}")
        assert 'role="alert"' in seen.text
        assert "Download" not in seen.text
    finally:
        with open(file, "wb") as mended:
            mended.write(before)
    assert lake.open(uri).read() == CONTENT


@pytest.mark.parametrize(
    "path",
    ["pipeline/none", "pipeline/%00", "pipeline/..%2f..%2fetc", "decision/0", "decision/999999", "decision/x",
     "prediction/99999999999999999999", "prediction?id=none", "payload/77", "payload/77/bytes", "model/readings/99",
     "runbooks/..%2f..%2fREADME", "runbooks/none", "guide/runbooks%2ffailure",
     "run?dag_id=keep_house&run_id=r", "run?dag_id=ingest_nope&run_id=x", "nothing"],
)  # fmt: skip
def test_what_is_not_there_is_said_to_be_so(page: Client, path: str) -> None:
    assert page.get(f"/ciclo/{path}").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00%2B23:00", "yesterday", ""],
)
def test_a_time_that_cannot_be_is_told_in_a_sentence(page: Client, query: str) -> None:
    answer = page.get(f"/ciclo/pipeline/readings?before={query}")
    assert answer.status_code == 400
    assert "This cannot be asked before: " in text(answer.text)


@pytest.fixture
def broken(place, pipelines, shared_warehouse_url: str):
    """The page beside a pipeline whose file is broken in two lines."""
    folder = pipelines / "pipelines" / "zz"
    folder.mkdir()
    text = (pipelines / "pipelines/readings/pipeline.yaml").read_text()
    text = (
        text.replace("pipeline: readings", "pipeline: zz")
        .replace("tier_3", "tier_9")
        .replace("min_rows: 20", "min_rows: x")
    )
    (folder / "pipeline.yaml").write_text(text)
    beside = replace(place, board=Board(lambda: look(shared_warehouse_url, AWAY, place.faults())))
    beside.board.look(patience=60)
    yield Client(ciclo(beside, lambda: None))
    shutil.rmtree(folder)


def test_a_broken_file_is_told_line_by_line_and_nothing_else_of_it(broken: Client) -> None:
    card = text("<main" + broken.get("/").text.partition('id="card-zz"')[2].partition("</article>")[0])
    assert "mend the faults that ciclo validate zz tells (2)" in card
    assert re.findall(r"pipeline\.yaml:\d+: (\S+):", card.partition("zz tells (2)")[2]) == [
        "impact",
        "training.min_rows",
    ]
    assert "the warehouse was not read" not in card
    assert "MLflow" not in card
    answer = broken.get("/pipeline/zz")
    assert answer.status_code == 200
    assert re.findall(r"pipeline\.yaml:\d+: (\S+):", text(answer.text).partition("zz tells (2)")[2])[:2] == [
        *("impact", "training.min_rows"),
    ]
    assert "the warehouse was not read" not in text(answer.text)
    assert broken.get("/pipeline/none").status_code == 404


def test_a_reading_from_before_is_told_with_its_age_and_not_as_how_it_is_now(place) -> None:
    looked, go = place.board.look().looked, threading.Event()
    go.set()
    board = Board(lambda: looked if go.wait(30) else None)
    board.look(patience=30)
    board._shown = board._shown._replace(as_of=datetime.now(UTC) - timedelta(hours=3))
    board._stale_at = 0.0
    go.clear()
    client = Client(ciclo(replace(place, board=board), lambda: None))
    for path in ("/", "/pipeline/readings"):
        assert "This is how it was 3 hours ago, and may be so no more; a newer reading goes on" in client.get(path).text
    go.set()
    board.look(patience=30)
    assert "This is how it was" not in client.get("/").text


def test_while_the_health_is_read_for_the_first_time_the_browser_asks_again(place) -> None:
    looked, go = place.board.look().looked, threading.Event()
    board = Board(lambda: looked if go.wait(30) else None)
    client = Client(ciclo(replace(place, board=board), lambda: None))
    assert client.get("/").headers["refresh"] == "2"
    go.set()
    board.look(patience=30)
    assert "refresh" not in client.get("/").headers


def test_a_warehouse_that_is_away_gives_a_reason_and_no_empty_page(place, pipelines) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    away = replace(place, warehouse_url=lambda: nowhere, board=Board(lambda: look(nowhere, place.mlflow_url, {})))
    app = FastAPI()
    app.mount("/ciclo", ciclo(away, lambda: None))
    broken = Client(app)
    answer = broken.get("/ciclo/decision/1")
    assert answer.status_code == 503
    assert "the warehouse does not answer" in answer.text
    away.board.look(patience=60)
    seen = broken.get("/ciclo/").text
    assert "The warehouse cannot be read" in seen
    assert "freshness unknown" in text(seen)


def test_reports_have_the_navigation(page: Client) -> None:
    html = page.get("/ciclo/docs/quality/readings/index.html").text
    assert html.index('<body class=q><nav aria-label="Ciclo"') < html.index("<h1>Batches")
    assert "/ciclo/docs/quality/readings/index.html" in page.get("/ciclo/reports").text
