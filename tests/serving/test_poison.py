"""Bodies that are meant to break a server: each is refused, on every route that takes one."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.serving.running import Service

PATHS = ("/v1/predict/plant", "/v1/explain/plant", "/v1/feedback", "/v2/models/plant/infer")
DEEP = 100_000
AS_DEEP_AS_A_PARSER_GOES = 900
TEXT = json.dumps({"rows": [{"first_sensor": 10.0, "second_sensor": 5.0, "hour_of_day": 3}]})


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


BODIES = {
    "huge": b" " * (9 << 20),
    "huge_number": b'{"rows": [{"first_sensor": ' + b"9" * 100_000 + b"}]}",
    "deep_lists": nested(DEEP).encode(),
    "deep_objects": b'{"rows":' * DEEP,
    "utf_16": TEXT.encode("utf-16"),
    "utf_32": TEXT.encode("utf-32"),
    "latin_1": '{"rows": [{"entity": "ñ"}]}'.encode("latin-1"),
    "half_a_letter": b'{"rows": [{"entity": "\xc3"}]}',
    "half_a_pair": b'{"rows": [{"entity": "\\ud800"}]}',
    "zipped": gzip.compress(TEXT.encode()),
    "cut_off": TEXT[:-3].encode(),
    "empty": b"",
}
# Deep, but so that it can be parsed: what then looks at it must not fall over.
INSIDE = {
    "a_feature": '{"rows": [{"first_sensor": %s}]}',
    "an_entity": '{"rows": [{"entity": %s}]}',
    "a_time": '{"rows": [{"valid_at": %s}]}',
    "a_raw_value": '{"raw": [{"valid_at": "2024-01-01T00:00:00Z", "first_sensor": %s}]}',
    "a_lookup": '{"lookups": [{"entity": %s}]}',
    "an_instant": '{"entity": "", "at": %s}',
    "an_outcome": '{"items": [{"request_id": "a", "outcome": {"a": %s}}]}',
    "a_tensor": '{"inputs": [{"name": "features", "shape": [1, 3], "datatype": "FP64", "data": %s}]}',
    "a_parameter": '{"inputs": [], "parameters": {"a": %s}}',
}
BODIES |= {f"deep_in_{name}": (text % nested(AS_DEEP_AS_A_PARSER_GOES)).encode() for name, text in INSIDE.items()}


@pytest.mark.parametrize("body", BODIES)
def test_a_poisoned_body_is_refused_on_every_route(shared_service: Service, body: str) -> None:
    answers = [shared_service.post(path, BODIES[body]) for path in PATHS]
    assert [answer.status_code for answer in answers if not 400 <= answer.status_code < 500] == []
    assert all("json" in answer.headers["content-type"] for answer in answers)
