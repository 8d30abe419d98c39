"""Alerts reach people: by real HTTP and SMTP, tried again, as one where they say the same, and given up in the open."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from include.alerts.deliver import TRIES, Undelivered, deliver
from include.alerts.record import raise_alert
from include.spec.parts import Alerts
from include.warehouse.batch import RunRef

CHAT = {"kind": "webhook", "connection": "ops_chat", "at_least": "warning"}
DESK = {"kind": "email", "connection": "mail", "addresses": ["desk@example.org", "it@example.org"]}


class Chat:
    """A chat's incoming webhook; it answers with the statuses planned for it, the last one again and again."""

    def __init__(self) -> None:
        self.statuses, self.posts = [200], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((self.path, json.loads(body), self.headers["Idempotency-Key"]))
                self.send_response(outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0])
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/secret-path"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()


class Mailbox:
    """Keeps the mails it is handed."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    running = Chat()
    monkeypatch.setenv("AIRFLOW_CONN_OPS_CHAT", json.dumps({"conn_type": "http", "host": running.url}))
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[], int]) -> Iterator[Mailbox]:
    handler = Mailbox()
    controller = Controller(handler, hostname="127.0.0.1", port=free_ports())
    controller.start()
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "ciclo@example.org", "retry_limit": 1}
    facts = {"conn_type": "smtp", "host": "127.0.0.1", "port": controller.port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(facts))
    yield handler
    controller.stop()


@pytest.fixture
def tell(warehouse) -> Callable[..., None]:
    """Give a function that raises an alert in a pipeline with some destinations."""

    def tell(message: str, kind: Any = "failure", to: tuple[dict[str, Any], ...] = (CHAT,), run_id: str = "r") -> None:
        alerts = Alerts.model_validate({"to": to})
        warehouse.spec = warehouse.spec.model_copy(update={"alerts": alerts})
        with warehouse.engine.begin() as connection:
            raise_alert(connection, warehouse.spec, kind, message, RunRef("ingest_readings", run_id))

    return tell


def sent(warehouse) -> int:
    return deliver(warehouse.engine, {"readings": warehouse.spec})


STATUS = "select destination, status, attempts, last_error from ops.alert order by alert_id"


def test_an_alert_reaches_the_webhook_once(warehouse, tell, chat: Chat) -> None:
    tell("meter.extract: the source is down")
    assert sent(warehouse) == 1
    assert sent(warehouse) == 0
    [(path, body, key)] = chat.posts
    assert path == "/services/secret-path"
    text, link = body["text"].splitlines()
    assert text == "CRITICAL readings failure: meter.extract: the source is down"
    assert link.endswith("/ciclo/runbooks/failure")
    assert (body["pipeline"], body["kind"], body["severity"]) == ("readings", "failure", "critical")
    assert key == f"ciclo-alert-{body['alert_id']}"
    assert warehouse.sql(STATUS) == [("webhook ops_chat", "delivered", 1, None)]
    assert warehouse.one("select delivered_at <= now() from ops.alert")


def test_an_alert_reaches_every_address_by_mail(warehouse, tell, mailbox: Mailbox) -> None:
    tell("r2 fell to <0.5>", to=(DESK,))
    assert sent(warehouse) == 1
    [mail] = mailbox.mails
    assert (mail.mail_from, mail.rcpt_tos) == ("ciclo@example.org", ["desk@example.org", "it@example.org"])
    assert b"Subject: CRITICAL readings failure" in mail.content


def test_each_destination_gets_what_is_severe_enough_for_it(warehouse, tell) -> None:
    both = (CHAT, DESK | {"at_least": "critical"})
    for kind in ("failure", "quality", "promotion"):
        tell(kind, kind=kind, to=both)
    assert warehouse.sql("select kind, destination, status from ops.alert order by alert_id") == [
        ("failure", "webhook ops_chat", "pending"),
        ("failure", "email mail desk@example.org, it@example.org", "pending"),
        ("quality", "webhook ops_chat", "pending"),
        ("promotion", "", "unaddressed"),
    ]


def test_alerts_that_say_the_same_go_out_as_one(warehouse, tell, chat: Chat) -> None:
    for run_id in ("one", "two", "three"):
        tell("the source is down", run_id=run_id)
    tell("something else")
    assert sent(warehouse) == 2
    assert [body["message"] for _, body, _ in chat.posts] == ["the source is down", "something else"]
    assert warehouse.sql("select distinct status from ops.alert") == [("delivered",)]


def test_what_could_not_be_delivered_is_tried_again_after_a_pause_and_says_why_without_the_url(
    warehouse, tell, chat: Chat
) -> None:
    chat.statuses = [503, 200]
    tell("down")
    with pytest.raises(Undelivered, match=r"1 of 1 alerts were not delivered: alert \d+ to webhook ops_chat: .*503"):
        sent(warehouse)
    assert sent(warehouse) == 0, "its turn has not come"
    warehouse.sql("update ops.alert set tried_at = tried_at - interval '3 minutes'")
    assert sent(warehouse) == 1
    assert len(chat.posts) == 2
    assert warehouse.sql(STATUS) == [("webhook ops_chat", "delivered", 2, None)]


def test_a_destination_that_is_away_holds_up_no_other_and_its_url_stays_secret(
    warehouse, tell, chat: Chat, monkeypatch: pytest.MonkeyPatch, free_ports
) -> None:
    away = f"http://127.0.0.1:{free_ports()}/services/secret-path"
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps({"conn_type": "http", "host": away}))
    tell("down", to=(CHAT | {"connection": "away"}, CHAT, CHAT | {"connection": "undeclared"}))
    with pytest.raises(Undelivered, match="2 of 3 alerts") as caught:
        sent(warehouse)
    assert "secret-path" not in str(caught.value) + str(warehouse.sql(STATUS))
    assert [status for _, status, *_ in warehouse.sql(STATUS)] == ["pending", "delivered", "pending"]


def test_it_is_given_up_after_the_last_try(warehouse, tell, chat: Chat) -> None:
    chat.statuses = [500]
    tell("down")
    for _ in range(TRIES):
        warehouse.sql("update ops.alert set tried_at = tried_at - interval '1 day'")
        with pytest.raises(Undelivered):
            sent(warehouse)
    assert warehouse.sql(STATUS)[0][:3] == ("webhook ops_chat", "failed", TRIES)
    warehouse.sql("update ops.alert set tried_at = tried_at - interval '1 day'")
    assert sent(warehouse) == 0


def test_a_destination_that_pipeline_yaml_names_no_more_is_said(warehouse, tell, chat: Chat) -> None:
    tell("down")
    warehouse.spec = warehouse.spec.model_copy(update={"alerts": Alerts()})
    with pytest.raises(Undelivered, match=r"pipeline\.yaml names it no more"):
        sent(warehouse)
    assert chat.posts == []
