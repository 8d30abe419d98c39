"""Who may ask: every token that is not good is refused alike, and whatever was refused is on record."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
import requests

from include.security.tokens import AUDIENCE, issue
from include.serving.versions import point
from include.spec.model import Pipeline
from tests.serving.running import KEY, Service

ROW = {"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}
KEY_ID, SECRET = KEY.split(":")
REFUSED = {
    "type": "about:blank",
    "title": "send a valid token: Authorization: Bearer …",
    "status": 401,
    "errors": [],
}
AUDIT = "select subject, pipeline, status, sum(request_count)::int from ops.service_audit group by 1, 2, 3"


def signed(key: str = SECRET, kid: str = KEY_ID, algorithm: str = "HS256", **changes: Any) -> str:
    """Return a token that is good but for the changes; one that is None is left out."""
    now = int(time.time())
    claims = {"jti": "1", "sub": "test", "iat": now, "exp": now + 60, "aud": AUDIENCE, "scope": "predict:*"} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid})


def unsigned() -> str:
    """Return a token that says itself that nobody has to check it."""
    _, claims, _ = signed().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT", "kid": KEY_ID}).encode()).rstrip(b"=")
    return f"{none.decode()}.{claims}."


def nested() -> str:
    """Return a token whose head is nested deeper than a parser goes."""
    head = base64.urlsafe_b64encode(b'{"kid":' + b"[" * 2500).rstrip(b"=")
    return f"{head.decode()}.{signed().partition('.')[2]}"


BAD = {
    "nested": nested,
    "alg_none": unsigned,
    "forged": lambda: signed(key="6" * 64),
    "changed": lambda: signed()[:-3] + "AAA",
    "another_algorithm": lambda: signed(algorithm="HS512"),
    "expired": lambda: signed(exp=int(time.time()) - 1),
    "without_expiry": lambda: signed(exp=None),
    "without_a_number": lambda: signed(jti=None),
    "of_the_future": lambda: signed(iat=int(time.time()) + 3600),
    "for_another_service": lambda: signed(aud="mlflow"),
    "unknown_key": lambda: signed(kid="2"),
    "a_key_id_that_is_a_path": lambda: signed(kid="../../etc/passwd"),
    "no_token_at_all": lambda: "x",
    "huge": lambda: "x" * 60_000,
    "empty": lambda: " ",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_token_that_is_not_good_is_refused_and_told_no_more(
    shared_service: Service, plant: Pipeline, bad: str
) -> None:
    answer = shared_service.predict(plant, ROW, token=BAD[bad]())
    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_without_a_header_or_with_another_scheme_nothing_is_answered(shared_service: Service, plant: Pipeline) -> None:
    url, body = f"{shared_service.url}/v1/predict/{plant.pipeline}", {"rows": [ROW]}
    for headers in ({}, {"Authorization": f"Basic {signed()}"}, {"Authorization": ""}, {"X-Token": signed()}):
        answer = requests.post(url, json=body, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()) == (401, REFUSED)


@pytest.mark.parametrize("scope", ["predict:another", "feedback:*", "read:plant", "predict", "", "*"])
def test_a_token_for_something_else_is_refused(shared_service: Service, plant: Pipeline, scope: str) -> None:
    answer = shared_service.predict(plant, ROW, token=signed(scope=scope))
    assert answer.status_code == 403
    assert answer.json()["title"] == f"the token is not good for predict:{plant.pipeline}"


def test_a_token_expires_also_where_it_was_good_before(shared_service: Service, plant: Pipeline) -> None:
    token = shared_service.token(lifetime=timedelta(seconds=3))
    assert shared_service.predict(plant, ROW, token=token).status_code == 200
    shared_service.wait_for(lambda: shared_service.predict(plant, ROW, token=token).status_code == 401, 6)


def revoke(service: Service, token: str) -> None:
    """Put on record that a token was issued and revoked."""
    number = jwt.decode(token, options={"verify_signature": False})["jti"]
    service.write(
        "insert into ops.token values"
        f" ('{number}', 'test', '{{predict:*}}', '1', now(), now() + interval '1 h', 'me', now(), 'lost', 'me')"
    )


def test_a_revoked_token_is_refused_within_two_seconds_by_every_worker(
    shared_service: Service, plant: Pipeline
) -> None:
    token, other = shared_service.token(), shared_service.token()
    assert shared_service.predict(plant, ROW, token=token).status_code == 200
    revoke(shared_service, token)
    revoked_at = time.monotonic()
    shared_service.wait_for(lambda: statuses(shared_service, plant, token) == {401}, 10)
    assert time.monotonic() - revoked_at < 2
    assert statuses(shared_service, plant, other) == {200}


def test_a_revoked_token_stays_refused_while_the_warehouse_is_away(unstarted_service: Service, plant: Pipeline) -> None:
    service = unstarted_service
    lost, good = service.token(), service.token()
    number = jwt.decode(lost, options={"verify_signature": False})["jti"]
    (service.folder / "revoked.json").write_text(json.dumps([number]))
    service.environment["CICLO_SERVING_DATABASE"] = "postgresql://serving:x@127.0.0.1:1/warehouse"
    service.start()
    service.wait_for(lambda: "the last list of revoked tokens holds" in service.log.read_text())
    assert (statuses(service, plant, lost), statuses(service, plant, good)) == ({401}, {200})


def statuses(service: Service, plant: Pipeline, token: str) -> set[int]:
    """Return what a dozen requests are answered with, each on a connection of its own, so that both workers answer."""
    url, headers = f"{service.url}/v1/predict/{plant.pipeline}", {"Authorization": f"Bearer {token}"}
    return {requests.post(url, json={"rows": [ROW]}, headers=headers, timeout=30).status_code for _ in range(12)}


def test_what_is_refused_is_on_record_with_who_asked(service: Service, plant: Pipeline) -> None:
    expired = issue({KEY_ID: SECRET}, "late", ["predict:*"], timedelta(seconds=-5))[0]
    for token, count in ((expired, 2), ("forged", 3), (service.token("read:*", subject="desk"), 1)):
        for _ in range(count):
            service.predict(plant, ROW, token=token)
    service.predict(plant, {"colour": 1}, token=service.token(subject="desk"))
    service.post("/v1/predict/nothing", {"rows": [ROW]}, service.token(subject="desk"))
    name = plant.pipeline
    service.wait_for(lambda: sum(row[3] for row in service.rows(AUDIT)) == 8)
    assert sorted(service.rows(AUDIT)) == [
        *[("", name, 401, 3), ("desk", "", 404, 1), ("desk", name, 403, 1), ("desk", name, 422, 1)],
        ("late", name, 401, 2),
    ]


def test_a_fault_of_ours_is_a_bare_problem_to_the_client_and_on_record(service: Service, plant: Pipeline) -> None:
    point(service.folder / "models", plant.pipeline, {"version": 1, "half_width": "wide"})
    answer = service.wait_for(lambda: [a for a in [service.predict(plant, ROW)] if a.status_code == 500])[0]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "the service has a fault; it is in its log",
        "status": 500,
        "errors": [],
    }
    service.wait_for(lambda: "TypeError" in service.log.read_text())
    service.wait_for(lambda: [row for row in service.rows(AUDIT) if row[:3] == ("test", plant.pipeline, 500)])


def test_who_asks_more_than_all_workers_together_allow_is_told_to_wait_and_nobody_else(
    unstarted_service: Service, plant: Pipeline
) -> None:
    service, rate = unstarted_service, 4
    service.environment["CICLO_PREDICTIONS_RATE"] = str(rate)
    service.start()
    url, body = f"{service.url}/v1/predict/{plant.pipeline}", {"rows": [ROW]}
    eager, patient = ({"Authorization": f"Bearer {service.token(subject=who)}"} for who in ("eager", "patient"))
    begin = time.monotonic()
    # Each on a connection of its own, so that both workers are asked.
    answers = [requests.post(url, json=body, headers=eager, timeout=30) for _ in range(100)]
    granted, longest = sum(answer.ok for answer in answers), time.monotonic() - begin
    assert granted <= rate * (1 + longest) + 2, "a second's requests at once, and each worker's look at a new token"
    assert {(each.status_code, each.headers["retry-after"]) for each in answers if not each.ok} == {(429, "1")}
    assert requests.post(url, json=body, headers=patient, timeout=30).status_code == 200
    service.wait_for(lambda: requests.post(url, json=body, headers=eager, timeout=30).ok, 5)


def test_no_page_of_another_origin_may_read_an_answer(shared_service: Service, plant: Pipeline) -> None:
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    url = f"{shared_service.url}/v1/predict/{plant.pipeline}"
    asked = requests.options(url, headers=origin, timeout=30)
    answer = requests.post(
        url, json={"rows": [ROW]}, headers=origin | {"Authorization": f"Bearer {signed()}"}, timeout=30
    )
    assert (asked.status_code, answer.status_code) == (405, 200)
    assert not [name for each in (asked, answer) for name in each.headers if name.lower().startswith("access-control")]


def test_what_needs_no_token_tells_no_secret(shared_service: Service, plant: Pipeline) -> None:
    shared_service.predict(plant, ROW | {"entity": "somebody"}, token=shared_service.token(subject="a-subject"))
    for path in ("healthz", "readyz", "metrics", "docs", "openapi.json"):
        answer = requests.get(f"{shared_service.url}/{path}", timeout=30)
        assert answer.status_code == 200
        for secret in (SECRET, "a-subject", "somebody", str(shared_service.folder), "postgresql://"):
            assert secret not in answer.text


def test_a_path_that_is_not_there_is_a_problem(shared_service: Service) -> None:
    answer = requests.get(f"{shared_service.url}/v1/nothing", timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
