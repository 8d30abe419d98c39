"""A sandbox that misbehaves on request, and one that cannot be asked to."""

import pytest

GARBAGE = {"path_contains": "/SieAPIRest/", "status": 200, "body": "<html>", "times": 2}


@pytest.fixture
def faulty(serve):
    return serve(has_faults=True)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_planted_fault_answers_once_and_then_the_truth_again(faulty, status: int) -> None:
    planted = faulty.post("/faults", json={"path_contains": "/datos", "status": status, "body": '{"error":{}}'})
    assert planted.status_code == 201
    refused = faulty.sie("SF43718/datos/oportuno")
    assert (refused.status_code, refused.text) == (status, '{"error":{}}')
    assert faulty.sie("SF43718/datos/oportuno").status_code == 200


def test_garbage_can_be_planted_for_several_requests(faulty) -> None:
    faulty.post("/faults", json=GARBAGE)
    assert [faulty.sie("SF43718/datos/oportuno").text == "<html>" for _ in range(3)] == [True, True, False]


def test_a_fault_leaves_other_paths_alone(faulty) -> None:
    faulty.post("/faults", json=GARBAGE)
    assert faulty.inegi().status_code == 200
    assert faulty.get("/health").status_code == 200


def test_faults_can_be_taken_back(faulty) -> None:
    faulty.post("/faults", json=GARBAGE)
    assert faulty.delete("/faults").status_code == 204
    assert faulty.sie("SF43718/datos/oportuno").text != "<html>"


@pytest.mark.parametrize("wrong", [{"status": 9}, {"times": 0}, {"path_contains": ""}])
def test_a_fault_that_makes_no_sense_is_refused(faulty, wrong: dict) -> None:
    assert faulty.post("/faults", json=GARBAGE | wrong).status_code == 422


def test_a_sandbox_started_without_faults_has_none(sandbox) -> None:
    assert sandbox.post("/faults", json=GARBAGE).status_code == 404
    assert sandbox.delete("/faults").status_code == 404
