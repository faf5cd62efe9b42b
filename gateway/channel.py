"""How the channel to the inference service is secured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc

from credentials.certificates import ClientTlsFiles, read_client_pem
from credentials.errors import CredentialInvalid
from credentials.watched_files import WatchedFiles, read_bytes

if TYPE_CHECKING:  # the stubs make them generic; at run time they are not
    UnaryUnary = grpc.aio.UnaryUnaryClientInterceptor[Any, Any]
    UnaryStream = grpc.aio.UnaryStreamClientInterceptor[Any, Any]
    StreamUnary = grpc.aio.StreamUnaryClientInterceptor[Any, Any]
    StreamStream = grpc.aio.StreamStreamClientInterceptor[Any, Any]
else:
    from grpc.aio import StreamStreamClientInterceptor as StreamStream
    from grpc.aio import StreamUnaryClientInterceptor as StreamUnary
    from grpc.aio import UnaryStreamClientInterceptor as UnaryStream
    from grpc.aio import UnaryUnaryClientInterceptor as UnaryUnary


@dataclass(frozen=True, slots=True)
class ChannelFiles:
    """What secures the channel; all None: nothing does.

    Attributes:
        tls: certificates; None: no TLS.
        server_name: name in the service's certificate, where the target's is another.
        token: file of the key that the service asks for; None: it asks for none.
    """

    tls: ClientTlsFiles | None = None
    server_name: str = ""
    token: Path | None = None


class ChannelSecurity:
    """Opens channels that are secured as the files say now.

    Args:
        files: what secures them.

    Raises:
        CredentialInvalid: a file cannot be used now, at the start.
    """

    def __init__(self, files: ChannelFiles) -> None:
        self._files: Final = files
        tls = files.tls
        self._tls: Final = (
            None if tls is None else WatchedFiles(tls.paths, lambda: read_client_pem(tls))
        )
        token = files.token
        self._token: Final = (
            None if token is None else WatchedFiles((token,), lambda: _read_token(token))
        )

    @property
    def current(self) -> object:
        """Changes its identity when a new channel is needed; None if one never is."""
        return None if self._tls is None else self._tls.current()

    def open(
        self, target: str, options: list[tuple[str, Any]], around: Sequence[Any] = ()
    ) -> grpc.aio.Channel:
        """Make a channel; the caller closes it.

        Args:
            target: gRPC target.
            options: of the channel.
            around: interceptors of every call, before it is signed.
        """
        signing = [] if self._token is None else _interceptors(self._token.current)
        interceptors = [*around, *signing] or None
        if self._tls is None:
            return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
        pem = self._tls.current()
        credentials = grpc.ssl_channel_credentials(pem.authority, pem.key, pem.certificate)
        if self._files.server_name:
            options = [*options, ("grpc.ssl_target_name_override", self._files.server_name)]
        return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)


def _interceptors(token: Callable[[], str]) -> list[Any]:
    """One a kind of call: gRPC takes an object for one kind only."""
    return [_UnaryUnary(token), _UnaryStream(token), _StreamUnary(token), _StreamStream(token)]


class _Signing:
    """Adds the token to the metadata of calls."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token: Final = token

    def _signed(self, details: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._token()}")
        return details._replace(metadata=metadata)


class _UnaryUnary(_Signing, UnaryUnary):
    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await continuation(self._signed(client_call_details), request)


class _UnaryStream(_Signing, UnaryStream):
    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        return await continuation(self._signed(client_call_details), request)


class _StreamUnary(_Signing, StreamUnary):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(self._signed(client_call_details), request_iterator)


class _StreamStream(_Signing, StreamStream):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(self._signed(client_call_details), request_iterator)


def _read_token(path: Path) -> str:
    token = read_bytes(path).strip()
    if not token or not token.isascii() or any(byte <= 0x20 for byte in token):
        raise CredentialInvalid(f"{path}: is no key: write the key alone into it, on one line")
    return token.decode("ascii")
