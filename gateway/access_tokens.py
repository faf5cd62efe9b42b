"""Tokens of an issuer (JWT, RFC 7519), checked against its published keys.

What a token may do stands in its claim `scope` (RFC 8693, 4.2), words with spaces between them:

    nerve:model:<name>   it may ask this model; `nerve:model:*`, every model
    nerve:admin          it may load and unload the models that it may ask

A token with none of these is valid and may ask nothing.

Source: RFC 8725 (JWT best current practices): a fixed list of algorithms; issuer, audience and
expiry required; the key's own algorithm, where it names one, must be the token's.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import InvalidTokenError, PyJWTError

from gateway.callers import Caller
from gateway.jwks import Jwks, SigningKey

_MAX_TOKEN_CHARS: Final = 8192
# Clocks of issuer and gateway may differ by this much.
_LEEWAY_S: Final = 30
# Checked tokens that are remembered: a signature costs 50 to 200 us, a look-up one.
_MAX_REMEMBERED: Final = 10_000
_MODEL: Final = "nerve:model:"
_ADMIN: Final = "nerve:admin"


@dataclass(frozen=True, slots=True)
class _Checked:
    caller: Caller
    expires_s: float  # of the wall clock, as `exp`


class AccessTokens:
    """Checks tokens of one issuer.

    Args:
        jwks: its keys; closed with this.
        issuer: `iss`.
        audience: `aud`.
        algorithms: signatures that are taken.
    """

    def __init__(self, jwks: Jwks, issuer: str, audience: str, algorithms: tuple[str, ...]) -> None:
        self._jwks: Final = jwks
        self._issuer: Final = issuer
        self._audience: Final = audience
        self._algorithms: Final = algorithms
        self._remembered: dict[bytes, _Checked] = {}
        self._generation = 0

    async def find(self, token: str) -> Caller | None:
        """The caller that a token names; None if the token is not valid.

        Raises:
            GatewayError: KEYS_UNAVAILABLE.
        """
        key_id = self._key_id(token)
        # Asked also for a token that is remembered: a withdrawn key must be noticed.
        key = None if key_id is None else await self._jwks.find(key_id)
        if key is None:
            return None
        self._forget_when_keys_change()
        digest = hashlib.sha256(token.encode()).digest()
        checked = self._remembered.get(digest) or self._check(token, key)
        if checked is None or time.time() >= checked.expires_s:  # noqa: TID251 - `exp` is a date
            return None
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = checked
        return checked.caller

    async def aclose(self) -> None:
        """Close the connections to the issuer."""
        await self._jwks.aclose()

    def _key_id(self, token: str) -> str | None:
        if len(token) > _MAX_TOKEN_CHARS or not token.isascii() or token.count(".") != 2:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except InvalidTokenError:
            return None
        key_id = header.get("kid")
        return key_id if header.get("alg") in self._algorithms else None

    def _check(self, token: str, key: SigningKey) -> _Checked | None:
        try:
            claims = jwt.decode(
                token,
                key.jwk.key,
                algorithms=[name for name in self._algorithms if name in key.algorithms],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except PyJWTError:  # of the token, or of a key that names what does not fit its curve
            return None
        return _Checked(_caller_of(claims), float(claims["exp"]) + _LEEWAY_S)

    def _forget_when_keys_change(self) -> None:
        if self._generation != self._jwks.generation:
            self._generation = self._jwks.generation
            self._remembered.clear()


def _caller_of(claims: dict[str, Any]) -> Caller:
    scope = claims.get("scope", "")
    words = scope.split() if isinstance(scope, str) else []
    models = frozenset(word.removeprefix(_MODEL) for word in words if word.startswith(_MODEL))
    return Caller(
        name=f"token:{claims['sub']}",
        models=None if "*" in models else models,
        admin=_ADMIN in words,
    )
