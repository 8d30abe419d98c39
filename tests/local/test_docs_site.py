"""The pages of ``var/docs`` in Airflow's own web app: for people who are signed in, and nothing but pages."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.health.looking import Looked
from include.page.app import ciclo
from include.page.board import Board
from include.page.links import Links
from include.page.place import Place
from include.quality.contract import Result
from include.quality.data_docs.files import page_of_run, write
from include.quality.data_docs.report import Report
from include.reporting.docs_site import monitor_url, report_url, training_url
from include.settings import settings
from include.windows import Window

ROOT = Path(__file__).resolve().parents[2]
INDEX = "/ciclo/docs/quality/index.html"
RUN = "manual__2025-03-01T00:00:00+00:00"


class Browser:
    """Asks an app without a server between."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def docs() -> Path:
    """Write pages of blocked batches and files that are nobody's business."""
    folder = settings().var / "docs"
    blocked = Result("rejected", "*", "stop", False, 100, 40, "40 of 100 rows quarantined", "at most 5%")
    told: dict[str, Any] = {"results": [blocked], "rules": [], "examples": {}, "checked_at": datetime.now(UTC)}
    for month, run in ((1, RUN), (2, "twice"), (3, "twice")):
        window = Window.parse(f"2025-0{month}-01", f"2025-0{month + 1}-01")
        report = Report("air", "station", window, dag_id="ingest_air", run_id=run, **told)
        write(folder / "quality", report)
    place = folder / "monitoring" / "air"
    place.mkdir(parents=True)
    (place / page_of_run(Window.parse("2025-01-01", "2025-02-01"), "monitor_air", RUN)).write_text("what was decided")
    drawn = folder / "training" / "air"
    drawn.mkdir(parents=True)
    (drawn / page_of_run(Window.parse("2025-01-01", "2025-02-01"), "train_air", RUN)).write_text("what was evaluated")
    (settings().var / "secret.html").write_text("secret")
    (folder / "notes.txt").write_text("secret")
    (folder / "quality" / "way_out.html").symlink_to(settings().var / "secret.html")
    return folder


@pytest.fixture(scope="module")
def airflow(docs: Path) -> Iterator[Browser]:
    """Build the API server's own app with our plugins; its metadata lie in the session's folder."""
    from airflow import plugins_manager
    from airflow import settings as airflow_settings
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.models import import_all_models
    from airflow.models.base import Base

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s" * 64)
        patch.setattr(airflow_settings, "PLUGINS_FOLDER", str(ROOT / "plugins"))
        caches = [found for found in vars(plugins_manager).values() if hasattr(found, "cache_clear")]
        for cache in caches:
            cache.cache_clear()
        import_all_models()
        Base.metadata.create_all(airflow_settings.engine)
        yield Browser(create_app("core"))
        for cache in caches:
            cache.cache_clear()
        purge_cached_app()


@pytest.fixture(scope="module")
def token(airflow: Browser) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ana", role="viewer"))


@pytest.fixture
def signed_in(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "path", [INDEX, "/ciclo/docs/", "/ciclo/docs/quality/run?dag_id=a&run_id=b&source=c", "/ciclo/docs/none"]
)
def test_nobody_reads_without_a_session(airflow, path):
    assert airflow.get(path).status_code == 401


@pytest.mark.parametrize("words", ["Bearer nonsense", "Basic YTpi", "Bearer "])
def test_a_false_token_opens_nothing(airflow, words):
    assert airflow.get(INDEX, headers={"Authorization": words}).status_code in (401, 403)


def test_a_browser_without_a_session_is_sent_to_sign_in_and_back(airflow):
    sent = airflow.get(f"{INDEX}?x=1", headers={"Accept": "text/html,*/*"})
    assert sent.status_code == 307
    assert sent.headers["location"] == "/api/v2/auth/login?next=%2Fciclo%2Fdocs%2Fquality%2Findex.html%3Fx%3D1"


def test_a_token_and_the_cookie_of_the_web_ui_both_open_the_pages(airflow, token, signed_in):
    by_cookie = {"Cookie": f"_token={token}"}
    for headers in (signed_in, by_cookie):
        answer = airflow.get(INDEX, headers=headers)
        assert answer.status_code == 200
        assert "Data quality" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/secret.html",
        "..%2fsecret.html",
        "quality/%2e%2e/%2e%2e/secret.html",
        "%2fetc/passwd",
        "quality/way_out.html",
        "quality/.lock",
        "notes.txt",
        "%00.html",
        "x" * 5000 + ".html",
        "openapi.json",
    ],
)
def test_whatever_is_no_page_of_the_folder_does_not_exist(airflow, signed_in, path):
    answer = airflow.get(f"/ciclo/docs/{path}", headers=signed_in)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_nothing_can_be_written(airflow, signed_in):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert airflow.request(method, INDEX, headers=signed_in).status_code == 405


def test_the_button_leads_to_the_page_of_that_very_run(airflow, signed_in):
    link = report_url("", "ingest_air", "station.check", RUN)
    first = airflow.get(link, headers=signed_in)
    page = airflow.get(first.headers["location"], headers=signed_in)
    assert page.status_code == 200
    assert RUN in page.text
    assert "Blocked: nothing of this batch was loaded" in page.text


def test_a_run_that_checked_several_batches_leads_to_their_list(airflow, signed_in):
    answer = airflow.get(report_url("", "ingest_air", "station.check", "twice"), headers=signed_in)
    assert answer.status_code == 200
    assert answer.text.count("<li>") == 2


def test_the_button_of_a_decision_leads_to_the_page_of_that_very_run(airflow, signed_in):
    first = airflow.get(monitor_url("", "monitor_air", "decide", RUN), headers=signed_in)
    assert airflow.get(first.headers["location"], headers=signed_in).text == "what was decided"
    for dag_id, run in (("monitor_air", "other"), ("monitor_..", RUN), ("monitor_", RUN)):
        answer = airflow.get(monitor_url("", dag_id, "draw_report", run), headers=signed_in)
        assert answer.status_code == 404


def test_the_button_of_a_training_leads_to_the_evaluation_of_that_very_run(airflow, signed_in):
    first = airflow.get(training_url("", "train_air", "compare_and_decide", RUN), headers=signed_in)
    assert airflow.get(first.headers["location"], headers=signed_in).text == "what was evaluated"
    assert airflow.get(training_url("", "train_air", "draw_report", "other"), headers=signed_in).status_code == 404
    assert airflow.get(training_url("", "train_air", "draw_report", RUN)).status_code == 401


@pytest.mark.parametrize(("run", "source"), [("other", "station"), (RUN, "../.."), (RUN, "*"), (RUN, "<b>")])
def test_a_run_without_a_page_is_told_so(airflow, signed_in, run, source):
    answer = airflow.get(report_url("", "ingest_air", f"{source}.check", run), headers=signed_in)
    assert answer.status_code == 404
    assert "No report of" in answer.text
    assert "<b>" not in answer.text


def test_airflow_registers_the_pages_and_the_entry(airflow, signed_in):
    answer = airflow.get("/api/v2/plugins", headers=signed_in).json()
    ours = next(plugin for plugin in answer["plugins"] if plugin["name"] == "ciclo_page")
    assert [app["url_prefix"] for app in ours["fastapi_apps"]] == ["/ciclo"]
    assert [(view["name"], view["href"]) for view in ours["external_views"]] == [("Ciclo", "/ciclo/")]
    assert airflow.get("/api/v2/plugins/importErrors", headers=signed_in).json()["import_errors"] == []


def test_only_checks_of_an_ingest_have_the_button(airflow):
    from airflow import plugins_manager
    from airflow.models.taskinstancekey import TaskInstanceKey

    (link,) = [link for link in plugins_manager.get_global_operator_extra_links() if link.name == "Quality report"]

    def button(dag_id: str, task_id: str) -> str:
        return link.get_link(None, ti_key=TaskInstanceKey(dag_id, task_id, RUN, 2, -1))

    assert button("ingest_air", "station.check") == report_url("", "ingest_air", "station.check", RUN)
    for dag_id, task_id in (("ingest_air", "station.extract"), ("ingest_air", "load"), ("train_air", "x.check")):
        assert button(dag_id, task_id) == ""


def test_every_task_of_a_pipeline_has_the_button_of_its_run_and_no_other_task(airflow):
    from airflow import plugins_manager
    from airflow.models.taskinstancekey import TaskInstanceKey

    (link,) = [link for link in plugins_manager.get_global_operator_extra_links() if link.name == "What the run did"]
    told = {
        dag: link.get_link(None, ti_key=TaskInstanceKey(dag, "x", RUN, 1, -1)) for dag in ("score_air", "keep_house")
    }
    assert told == {"score_air": Links("", "").run("score_air", RUN), "keep_house": ""}


def test_only_a_decision_and_its_drawing_have_the_button_of_the_monitor(airflow):
    from airflow import plugins_manager
    from airflow.models.taskinstancekey import TaskInstanceKey

    (link,) = [link for link in plugins_manager.get_global_operator_extra_links() if link.name == "Monitoring report"]
    places = [(dag, task) for dag in ("monitor_air", "train_air") for task in ("measure", "decide", "draw_report")]
    told = {place: link.get_link(None, ti_key=TaskInstanceKey(*place, RUN, 1, -1)) for place in places}
    assert {place for place, address in told.items() if address} == {
        ("monitor_air", "decide"), ("monitor_air", "draw_report"),
    }  # fmt: skip


def test_only_a_trainings_decision_and_its_drawing_have_the_button_of_the_evaluation(airflow):
    from airflow import plugins_manager
    from airflow.models.taskinstancekey import TaskInstanceKey

    (link,) = [link for link in plugins_manager.get_global_operator_extra_links() if link.name == "Evaluation report"]
    tasks = ("fit_candidate", "compare_and_decide", "draw_report")
    places = [(dag, task) for dag in ("monitor_air", "train_air") for task in tasks]
    told = {place: link.get_link(None, ti_key=TaskInstanceKey(*place, RUN, 1, -1)) for place in places}
    assert {place for place, address in told.items() if address} == {("train_air", task) for task in tasks[1:]}


def test_without_a_guard_the_test_for_a_session_would_notice(docs):
    """The companion of `test_nobody_reads_without_a_session`: the same app with its door open."""
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/ciclo", ciclo(place(docs, ""), lambda: None))
    assert Browser(app).get(INDEX).status_code == 200


def test_airflow_under_a_path_of_its_own_keeps_it(docs):
    client = Browser(ciclo(place(docs, "/af"), lambda: None))
    asked = {"dag_id": "ingest_air", "run_id": RUN, "source": "station"}
    assert client.get("/docs/").headers["location"] == "/af/ciclo/reports"
    page = client.get("/docs/quality/run", params=asked).headers["location"]
    assert page.startswith("/af/ciclo/docs/quality/air/station/")
    framed = client.get(page.removeprefix("/af/ciclo")).text
    assert 'href="/af/ciclo/reports"' in framed


def place(docs: Path, base: str) -> Place:
    """Return where a page reads that shows nothing but reports."""
    none = Looked({}, {}, {}, [])
    rest = {"warehouse_url": lambda: "", "mlflow_url": "", "lake_url": "memory://", "board": Board(lambda: none)}
    return Place(links=Links(base, ""), docs=docs, **rest)
