"""The layer that answers nobody who has not shown who they are."""

from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from credentials.keys import Key, KeyRing
from gateway.callers import Caller, set_caller
from gateway.errors import GatewayError, Reason
from gateway.middleware import HttpLayer, note_key

# What machines ask that have no key: whether the gateway is alive and ready. Nothing else.
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})

_BEARER: Final = b"bearer "


class TokenCheck(Protocol):
    """Checks the tokens of an issuer; see `gateway.access_tokens`."""

    async def find(self, token: str) -> Caller | None:
        """The caller that a token names; None if the token is not valid."""

    async def aclose(self) -> None:
        """Close what it holds."""


class SecurityLayer(HttpLayer):
    """Finds the caller of every request by its key or token, before its body is read.

    Args:
        app: the next layer.
        keys: gives the keys in force; None: there are none.
        tokens: checks what is no key; None: nothing else is taken.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Callable[[], KeyRing] | None,
        tokens: TokenCheck | None,
    ) -> None:
        super().__init__(app)
        self._keys: Final = keys
        self._tokens: Final = tokens
        self._ring: KeyRing | None = None
        self._callers: dict[bytes, Caller] = {}

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN_PATHS:
            caller = await self._caller(shown_secret(scope))
            set_caller(scope, caller)
            note_key(scope, caller.key_id)
        await self.app(scope, receive, send)

    async def _caller(self, secret: str) -> Caller:
        key = self._ring_in_force(self._keys()).find(secret) if self._keys is not None else None
        if key is not None:
            return self._callers[key.digest]
        caller = await self._tokens.find(secret) if self._tokens is not None else None
        if caller is None:
            raise GatewayError(
                Reason.UNAUTHENTICATED, "the key is not valid: check it, or ask for a new one"
            )
        return caller

    def _ring_in_force(self, ring: KeyRing) -> KeyRing:
        if ring is not self._ring:
            self._ring = ring
            self._callers = {key.digest: caller_of_key(key) for key in ring.keys}
        return ring


def caller_of_key(key: Key) -> Caller:
    """The caller that an API key stands for."""
    return Caller(f"key:{key.id}", key.id, key.models, key.admin, key.limits)


def shown_secret(scope: Scope) -> str:
    """The key or token of a request: `Authorization: Bearer …`, or `X-API-Key: …`.

    Raises:
        GatewayError: UNAUTHENTICATED; there is none, or more than one. Which of two would count is
            something that a proxy and the gateway could see differently.
    """
    found: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            found.append(value.strip())
        elif name == b"authorization":
            found.append(value[len(_BEARER) :].strip() if _is_bearer(value) else b"")
    if not found or not found[0]:
        raise GatewayError(
            Reason.UNAUTHENTICATED, "send a key as Authorization: Bearer <key> or X-API-Key: <key>"
        )
    if len(found) > 1:
        raise GatewayError(Reason.UNAUTHENTICATED, "send one key, in one header")
    return found[0].decode("latin-1")


def _is_bearer(value: bytes) -> bool:
    return value[: len(_BEARER)].lower() == _BEARER
