"""Who may call the inference service, and over which connection.

Callers show a key in the metadata `authorization: Bearer <key>`. Keys, rather than the names in
client certificates, because a key can be asked of one call and not of another: health must answer
probes that have neither, while a certificate is asked of a connection before it says what it wants.
mTLS can be turned on as well; then probes need a certificate too.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from credentials.certificates import TlsFiles, TlsPem, read_server_pem
from credentials.errors import CredentialInvalid
from credentials.keys import KeyRing, read_keys
from credentials.watched_files import WatchedFiles

_AUTHORIZATION = "authorization"
_BEARER = "bearer "

# What probes ask that have no key.
OPEN_SERVICES = ("/grpc.health.v1.Health/",)
OPEN_METHODS = frozenset(
    {
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
    }
)
# What changes which models are served, for every caller.
ADMIN_METHODS = frozenset(
    {
        "/inference.GRPCInferenceService/RepositoryModelLoad",
        "/inference.GRPCInferenceService/RepositoryModelUnload",
    }
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Details = grpc.HandlerCallDetails
    # The stubs make these generic; at run time they are not.
    MethodHandler = grpc.RpcMethodHandler[Any, Any]
    Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    from grpc.aio import ServerInterceptor as Interceptor


class AccessInterceptor(Interceptor):
    """Refuses calls without a valid key, before their message is read.

    Args:
        keys: the keys, read again when their file changes.
    """

    def __init__(self, keys: WatchedFiles[KeyRing]) -> None:
        self._keys = keys

    async def intercept_service(
        self,
        continuation: "Callable[[Details], Awaitable[MethodHandler]]",
        handler_call_details: "Details",
    ) -> "MethodHandler":
        """Lets a call pass to its method, or to one that refuses it."""
        method = handler_call_details.method
        if method.startswith(OPEN_SERVICES) or method in OPEN_METHODS:
            return await continuation(handler_call_details)
        key = self._keys.current().find(shown_key(handler_call_details.invocation_metadata))
        if key is None:
            return _refusing(grpc.StatusCode.UNAUTHENTICATED, "send a valid key")
        if method in ADMIN_METHODS and not key.admin:
            return _refusing(grpc.StatusCode.PERMISSION_DENIED, "the key has no admin scope")
        return await continuation(handler_call_details)


def shown_key(metadata: Any) -> str:
    """The key in the metadata of a call; empty if there is none, or more than one."""
    values = [value for name, value in metadata or () if name == _AUTHORIZATION]
    if len(values) != 1 or not isinstance(values[0], str):
        return ""
    value: str = values[0]
    return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else ""


def read_tokens(path: Path) -> WatchedFiles[KeyRing]:
    """The keys of a file, whose scopes of models must be all of them.

    Raises:
        CredentialInvalid: the file cannot be used.
    """
    return WatchedFiles((path,), lambda: _read(path))


def _read(path: Path) -> KeyRing:
    keys = read_keys(path)
    for key in keys.keys:
        if key.models is not None:
            raise CredentialInvalid(
                f'{path}: {key.id}: models must be "*": scopes of models are kept by the gateway'
            )
    return keys


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """TLS for a server; every handshake takes the newest files.

    Raises:
        CredentialInvalid: the files cannot be used now, at the start.
    """
    watched = WatchedFiles(files.paths, lambda: read_server_pem(files))
    used = watched.current()

    def newest() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        pem = watched.current()
        if pem is used:
            return None
        used = pem
        return _configuration(pem)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(used),
        newest,  # type: ignore[arg-type] # the stubs forget that None means no change
        require_client_authentication=files.client_authority is not None,
    )


def _configuration(pem: TlsPem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pem.key, pem.certificate)], pem.client_authority
    )


def _refusing(code: grpc.StatusCode, detail: str) -> "MethodHandler":
    """A method that refuses; it reads no message, so it fits calls of every kind.

    There is no reason in the details: the gateway would hand it on to its own caller, whose key is
    another.
    """

    async def refuse(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(code, detail)

    return grpc.stream_stream_rpc_method_handler(refuse)
