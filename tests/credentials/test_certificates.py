"""Certificates and keys that are renewed while they are read."""

import os
from pathlib import Path

import pytest

from credentials import certificates
from credentials.certificates import (
    ClientTlsFiles,
    TlsFiles,
    read_client_pem,
    read_server_pem,
    server_context,
)
from credentials.errors import CredentialInvalid
from tests.certificates import Authority


class _Secret:
    """A mounted secret, whose files are all replaced at once: by its folder's link."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._link = folder / "data"
        self._versions = [folder / "one", folder / "two"]
        for version in self._versions:
            version.mkdir()
            issued = authority.issue("service")
            issued.certificate.rename(version / "tls.crt")
            issued.key.rename(version / "tls.key")
        self._link.symlink_to(self._versions[0])
        self.certificate, self.key = self._link / "tls.crt", self._link / "tls.key"

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        return [
            ((version / "tls.crt").read_bytes(), (version / "tls.key").read_bytes())
            for version in self._versions
        ]

    def renew(self) -> None:
        fresh = self._link.with_name("data.new")
        fresh.symlink_to(self._versions[1])
        fresh.replace(self._link)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Signs every certificate."""
    return Authority(tmp_path, "ours")


@pytest.fixture
def secret(tmp_path: Path, authority: Authority) -> _Secret:
    """The certificate and key of a service, with those that come after them."""
    return _Secret(tmp_path, authority)


@pytest.fixture
def _renewed_between(secret: _Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret is renewed when its certificate has been read, and its key has not."""

    def read_bytes(path: Path) -> bytes:
        content = path.read_bytes()
        if path == secret.certificate:
            secret.renew()
        return content

    monkeypatch.setattr(certificates, "read_bytes", read_bytes)


@pytest.mark.usefixtures("_renewed_between")
def test_a_server_never_gets_a_certificate_with_the_key_of_another(secret: _Secret) -> None:
    """Its library would take them and fail at every handshake, until the next renewal."""
    files = TlsFiles(secret.certificate, secret.key)
    with pytest.raises(CredentialInvalid, match=r"tls\.crt.*tls\.key"):
        read_server_pem(files)
    pem = read_server_pem(files)
    assert (pem.certificate, pem.key) == secret.pairs[1]


@pytest.mark.usefixtures("_renewed_between")
def test_a_client_never_gets_a_certificate_with_the_key_of_another(
    secret: _Secret, authority: Authority
) -> None:
    files = ClientTlsFiles(authority.file, secret.certificate, secret.key)
    with pytest.raises(CredentialInvalid, match=r"tls\.crt.*tls\.key"):
        read_client_pem(files)
    pem = read_client_pem(files)
    assert (pem.certificate, pem.key) == secret.pairs[1]


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_pair_is_checked_on_systems_without_files_in_memory_too(
    secret: _Secret, authority: Authority, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    files = TlsFiles(secret.certificate, secret.key, authority.file)
    assert len(server_context(files).get_ca_certs()) == 1
    assert (read_server_pem(files).certificate, read_server_pem(files).key) == secret.pairs[0]
    for wrong in (secret.certificate, authority.file):
        with pytest.raises(CredentialInvalid, match="no certificate with its key"):
            read_server_pem(TlsFiles(secret.certificate, wrong))
