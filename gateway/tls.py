"""HTTPS whose certificates are replaced without a restart."""

import ssl
from collections.abc import Callable
from typing import Any, Self

from credentials.certificates import TlsFiles, server_context
from credentials.watched_files import WatchedFiles


class RenewedContext(ssl.SSLContext):
    """A context that stands for whichever is the newest: every handshake asks for it.

    Event loops keep the context that they are given, and a context can be given another certificate
    but cannot be made to forget an authority. So this one hands each new connection to a context
    made from the files as they are then; connections that stand keep theirs.
    """

    current: Callable[[], ssl.SSLContext]

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> Self:
        """Make the stand-in; its own settings are never used."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.current = current
        return made

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a handshake in the newest context."""
        return self.current().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Begin a handshake in the newest context."""
        return self.current().wrap_socket(*args, **kwargs)


def renewed_context(files: TlsFiles) -> RenewedContext:
    """Make the context of a server.

    Raises:
        CredentialInvalid: the files cannot be used now, at the start.
    """
    return RenewedContext(WatchedFiles(files.paths, lambda: server_context(files)).current)
