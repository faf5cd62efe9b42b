"""Certificates of servers and clients, checked when they are read.

Each file is read once, and what was read is what is checked: a renewal between two readings would
leave a checked certificate beside a key that nobody has looked at.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from credentials.errors import CredentialInvalid
from credentials.watched_files import read_bytes


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a server's certificates stand, in PEM.

    Attributes:
        certificate: its certificate and those between it and the authority.
        key: its private key, without a passphrase.
        client_authority: certificates of those who sign its callers' certificates (mTLS); None asks
            callers for none.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file."""
        files = (self.certificate, self.key, self.client_authority)
        return tuple(path for path in files if path is not None)


@dataclass(frozen=True, slots=True)
class TlsPem:
    """What the files hold; the key stays out of `repr`.

    Attributes:
        certificate: PEM.
        key: PEM.
        client_authority: PEM; None asks callers for no certificate.
    """

    certificate: bytes
    key: bytes
    client_authority: bytes | None

    def __repr__(self) -> str:
        return f"TlsPem(mutual={self.client_authority is not None})"


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Make the context in which a server answers.

    Raises:
        CredentialInvalid: a file is missing or is no PEM, or the key is another certificate's.
    """
    return _server_context(files, _server_pem(files))


def read_server_pem(files: TlsFiles) -> TlsPem:
    """Read a server's files, for a library that takes bytes.

    Raises:
        CredentialInvalid: a file is missing or is no PEM, or the key is another certificate's.
    """
    pem = _server_pem(files)
    _server_context(files, pem)
    return pem


def _server_pem(files: TlsFiles) -> TlsPem:
    authority = files.client_authority
    return TlsPem(
        read_bytes(files.certificate),
        read_bytes(files.key),
        None if authority is None else read_bytes(authority),
    )


def _server_context(files: TlsFiles, pem: TlsPem) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # HTTP/1.1 is all that the gateway speaks: whoever offers only others is told so at once.
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, pem.certificate, pem.key, f"{files.certificate}, {files.key}")
    if pem.client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, pem.client_authority, f"{files.client_authority}")
    return context


@dataclass(frozen=True, slots=True)
class ClientTlsFiles:
    """Where a client's certificates stand, in PEM.

    Attributes:
        authority: certificates of those who sign the server's.
        certificate: what it shows the server (mTLS); None: nothing.
        key: its private key, with `certificate`.
    """

    authority: Path
    certificate: Path | None = None
    key: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file."""
        files = (self.authority, self.certificate, self.key)
        return tuple(path for path in files if path is not None)


@dataclass(frozen=True, slots=True)
class ClientTlsPem:
    """What the files hold; the key stays out of `repr`.

    Attributes:
        authority: PEM.
        certificate: PEM, or None.
        key: PEM, or None.
    """

    authority: bytes
    certificate: bytes | None
    key: bytes | None

    def __repr__(self) -> str:
        return f"ClientTlsPem(mutual={self.certificate is not None})"


def read_client_pem(files: ClientTlsFiles) -> ClientTlsPem:
    """Read a client's files, for a library that takes bytes.

    Raises:
        CredentialInvalid: a file is missing or is no PEM, or the key is another certificate's.
    """
    pem = ClientTlsPem(
        read_bytes(files.authority),
        None if files.certificate is None else read_bytes(files.certificate),
        None if files.key is None else read_bytes(files.key),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load_authority(context, pem.authority, f"{files.authority}")
    if pem.certificate is not None and pem.key is not None:
        _load_certificate(context, pem.certificate, pem.key, f"{files.certificate}, {files.key}")
    return pem


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes, files: str) -> None:
    try:
        with _file_of(certificate) as certificate_file, _file_of(key) as key_file:
            # The empty passphrase keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(certificate_file, key_file, password="")
    except (OSError, ValueError) as error:
        raise CredentialInvalid(f"{files}: no certificate with its key ({_cause(error)})") from None


def _load_authority(context: ssl.SSLContext, authority: bytes, file: str) -> None:
    try:
        with _file_of(authority) as authority_file:
            context.load_verify_locations(authority_file)
    except (OSError, ValueError) as error:
        raise CredentialInvalid(f"{file}: no certificates ({_cause(error)})") from None


@contextmanager
def _file_of(pem: bytes) -> Iterator[str]:
    """The name of a file of this process's own that holds these bytes: OpenSSL is given names."""
    # In memory where the system has such files: a key must not come to lie on a disk, and a
    # container may have none that can be written.
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem"), "wb", buffering=0) as file:
            file.write(pem)
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with NamedTemporaryFile(buffering=0) as file:
            file.write(pem)
            yield file.name


def _cause(error: OSError | ValueError) -> str:
    """What is wrong, in OpenSSL's or the system's words, which quote no content."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "not PEM"
    return getattr(error, "strerror", None) or "not PEM"
