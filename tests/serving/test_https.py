"""HTTPS by option, with a certificate that the test makes."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.local.health import answers
from include.spec.model import Pipeline
from tests.serving.running import Service
from tests.serving.test_access import ROW, signed


def certify(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the files of a new certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    own = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.add_extension(own, critical=False).sign(key, hashes.SHA256())
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    how = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(key.private_bytes(*how))
    return files


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
