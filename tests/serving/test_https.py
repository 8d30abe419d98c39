"""HTTPS by option, with a certificate that the test makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from include.local.health import answers
from include.spec.model import Pipeline
from tests.certificates import certify
from tests.serving.running import Service
from tests.serving.test_access import ROW, signed


@pytest.fixture
def https_service(unstarted_service: Service, tmp_path: Path) -> Service:
    """Give the service started with a certificate."""
    certificate, key = certify(tmp_path, "own")
    unstarted_service.options = ("--certificate", str(certificate), "--key", str(key))
    unstarted_service.start(certificate)
    return unstarted_service


def test_it_answers_over_https_alone(https_service: Service, plant: Pipeline, tmp_path: Path) -> None:
    url, headers = f"{https_service.url}/v1/predict/{plant.pipeline}", {"Authorization": f"Bearer {signed()}"}
    assert url.startswith("https://")
    own = str(tmp_path / "own.pem")
    assert requests.post(url, json={"rows": [ROW]}, headers=headers, verify=own, timeout=30).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.post(url.replace("https", "http"), json={"rows": [ROW]}, headers=headers, timeout=30)
    assert answers(f"{https_service.url}/healthz", certificate=tmp_path / "own.pem")
    other, _ = certify(tmp_path, "other")
    assert not answers(f"{https_service.url}/healthz", certificate=other)


def test_a_certificate_without_its_key_ends_in_a_sentence(unstarted_service: Service, tmp_path: Path) -> None:
    certificate, _ = certify(tmp_path, "own")
    _, other = certify(tmp_path, "other")
    for options, told in [
        (("--certificate", str(certificate)), "HTTPS needs both --certificate and --key"),
        (("--certificate", str(certificate), "--key", str(other)), "cannot be used for HTTPS"),
        (("--certificate", str(tmp_path / "none"), "--key", str(other)), "cannot be used for HTTPS"),
    ]:
        unstarted_service.options = options
        code, text = unstarted_service.run()
        assert (code, len(text.splitlines())) == (2, 1)
        assert told in text
