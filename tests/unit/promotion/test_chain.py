"""Each way of tampering with a chain of decisions is named with the first decision it concerns."""

import hashlib
from dataclasses import dataclass

import pytest

from include.promotion.chain import Link, check


def chain(count: int) -> list[Link]:
    """Make an intact chain of decisions 10, 11, …"""
    links: list[Link] = []
    for position in range(1, count + 1):
        previous = links[-1].hash if links else ""
        content = f"decision {position} after {previous}"
        links.append(Link(9 + position, position, previous, hashlib.sha256(content.encode()).hexdigest(), content))
    return links


def end(links: list[Link]) -> tuple[int, str]:
    return links[-1].position, links[-1].hash


def forged(link: Link, content: str) -> Link:
    """Change a decision and give it the hash of its new content."""
    return link._replace(content=content, hash=hashlib.sha256(content.encode()).hexdigest())


def test_an_intact_chain_is_counted():
    links = chain(4)
    assert check(links, end(links)) == (4, None)
    assert check([], None) == (0, None)


@dataclass
class Fault:
    links: list[Link]
    intact: int
    told: str


INTACT = chain(4)
FAULTS = {
    "changed": Fault([INTACT[0], INTACT[1]._replace(content="better"), *INTACT[2:]], 1, "decision 11 was changed"),
    "changed with a new hash": Fault([INTACT[0], forged(INTACT[1], "x"), *INTACT[2:]], 2, "decision 11 was changed"),
    "the first is missing": Fault(INTACT[1:], 0, "position 1 is missing: the next that is there is decision 11"),
    "one is missing": Fault([*INTACT[:2], INTACT[3]], 2, "position 3 is missing: the next that is"),
    "the newest is missing": Fault(INTACT[:3], 3, "position 4 is missing: the newest is not there"),
    "all are missing": Fault([], 0, "position 1 is missing"),
    "the newest changed with a new hash": Fault([*INTACT[:3], forged(INTACT[3], "x")], 3, "decision 13 was changed"),
    "one was added": Fault([*INTACT[:2], INTACT[1]._replace(decision_id=99), *INTACT[2:]], 2, "decision 99 was added"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_tampering_is_named(name: str):
    fault = FAULTS[name]
    intact, told = check(fault.links, end(INTACT))
    assert intact == fault.intact
    assert told is not None
    assert fault.told in told


def test_an_end_that_is_not_on_record_is_told():
    assert check(INTACT, None) == (4, "the end of the chain is on record no more: ml.ledger_head lost its row")
