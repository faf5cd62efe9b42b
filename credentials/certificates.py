"""Certificates of servers and clients, checked when they are read."""

import ssl
from dataclasses import dataclass
from pathlib import Path

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
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # HTTP/1.1 is all that the gateway speaks: whoever offers only others is told so at once.
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, files.certificate, files.key)
    if files.client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, files.client_authority)
    return context


def read_server_pem(files: TlsFiles) -> TlsPem:
    """Read a server's files, for a library that takes bytes.

    Raises:
        CredentialInvalid: a file is missing or is no PEM, or the key is another certificate's.
    """
    server_context(files)
    authority = files.client_authority
    return TlsPem(
        read_bytes(files.certificate),
        read_bytes(files.key),
        None if authority is None else read_bytes(authority),
    )


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


def client_context(files: ClientTlsFiles) -> ssl.SSLContext:
    """Make the context in which a client calls.

    Raises:
        CredentialInvalid: a file is missing or is no PEM, or the key is another certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_authority(context, files.authority)
    if files.certificate is not None and files.key is not None:
        _load_certificate(context, files.certificate, files.key)
    return context


def read_client_pem(files: ClientTlsFiles) -> ClientTlsPem:
    """Read a client's files, for a library that takes bytes.

    Raises:
        CredentialInvalid: a file is missing or is no PEM, or the key is another certificate's.
    """
    client_context(files)
    return ClientTlsPem(
        read_bytes(files.authority),
        None if files.certificate is None else read_bytes(files.certificate),
        None if files.key is None else read_bytes(files.key),
    )


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # The empty passphrase keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise CredentialInvalid(
            f"{certificate}, {key}: no certificate with its key ({_cause(error)})"
        ) from None


def _load_authority(context: ssl.SSLContext, authority: Path) -> None:
    try:
        context.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        raise CredentialInvalid(f"{authority}: no certificates ({_cause(error)})") from None


def _cause(error: OSError | ValueError) -> str:
    """What is wrong, in OpenSSL's or the system's words, which quote no content."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "not PEM"
    return getattr(error, "strerror", None) or "not PEM"
