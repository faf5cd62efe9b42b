"""The signing keys that an issuer publishes (JWKS, RFC 7517), fetched and kept."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from gateway.errors import GatewayError, Reason
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.jwks")

_TIMEOUT_S: Final = 5.0
# A key that the issuer has withdrawn is refused after this long.
_MAX_AGE_S: Final = 300.0
# Tokens with invented key ids must not become a load on the issuer.
_LEAST_INTERVAL_S: Final = 5.0
# How long the last keys are believed when the issuer does not answer.
_MAX_STALE_S: Final = 3600.0
# How long a failed fetch says that the issuer is away, and that nobody need wait for the next one:
# much longer than the time between two, so that on a busy gateway one caller an outage waits.
_AWAY_S: Final = 60.0
# The largest sets that big issuers publish are about 10 kB.
_MAX_BYTES: Final = 512 * 1024

# All that an RSA key can check (RFC 7518, 3.1); a key of another type has a curve, which fits one.
_FIT_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that an issuer signs with, as it publishes it.

    Attributes:
        jwk: the key.
        algorithms: signatures that it checks: what the key names (RFC 7517, 4.4), or else all that
            fit its type.
    """

    jwk: PyJWK
    algorithms: frozenset[str]


class Jwks:
    """An issuer's keys; `aclose` ends its connections, and the task that looks again.

    Args:
        url: of the key set.
        clock: monotonic seconds.
        timeout_s: time in which the whole set must arrive.

    Attributes:
        generation: counts the fetches that changed the keys.

    Raises:
        ValueError: the URL can be none of a key set.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._url: Final = _address(url)
        self._clock: Final = clock
        self._timeout_s: Final = timeout_s
        self._fetching: Final = asyncio.Lock()
        self._http: Final = httpx.AsyncClient(
            timeout=timeout_s, follow_redirects=False, trust_env=False
        )
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_s = -float("inf")
        self._tried_s = -float("inf")
        self._failed_s = -float("inf")  # since the last success
        self._behind: asyncio.Task[None] | None = None
        self.generation = 0

    async def find(self, key_id: str) -> SigningKey | None:
        """The key of an id; looks again where it is not known or the set is old.

        While the issuer is away a known key is answered at once, and looked for behind that.
        Cancelling gives up the fetch that this call began, if any; others begin their own.

        Raises:
            GatewayError: KEYS_UNAVAILABLE; the issuer does not answer.
        """
        if self._must_fetch(key_id):
            if key_id in self._keys and self._clock() - self._failed_s < _AWAY_S:
                self._look_behind(key_id)
            else:
                await self._look(key_id)
        if self._clock() - self._fetched_s > _MAX_STALE_S:
            raise GatewayError(
                Reason.KEYS_UNAVAILABLE, "the issuer of tokens does not answer: try again shortly"
            )
        return self._keys.get(key_id)

    async def aclose(self) -> None:
        """Close the connections to the issuer, and give up a fetch."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.wait([self._behind])
        await self._http.aclose()

    def _must_fetch(self, key_id: str) -> bool:
        now = self._clock()
        if now - self._tried_s < _LEAST_INTERVAL_S:
            return False
        return key_id not in self._keys or now - self._fetched_s >= _MAX_AGE_S

    def _look_behind(self, key_id: str) -> None:
        if self._behind is None or self._behind.done():
            self._behind = asyncio.create_task(self._look(key_id))

    async def _look(self, key_id: str) -> None:
        async with self._fetching:
            if self._must_fetch(key_id):
                await self._fetch()

    async def _fetch(self) -> None:
        # The instants are noted after it, not before: those who come meanwhile wait for it rather
        # than do without.
        try:
            # As a whole: httpx's own limit is one for each chunk, and an issuer may drip.
            async with asyncio.timeout(self._timeout_s):
                keys = _keys_of(await self._download())
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            self._tried_s = self._failed_s = self._clock()
            _LOG.error("issuer_keys_not_fetched", error=type(error).__name__)
            return
        self._tried_s = self._fetched_s = self._clock()
        self._failed_s = -float("inf")
        if keys.keys() != self._keys.keys():
            _LOG.info("issuer_keys_fetched", keys=len(keys))
        self._keys = keys
        self.generation += 1

    async def _download(self) -> Any:
        async with self._http.stream("GET", self._url) as answer:
            answer.raise_for_status()
            raw = bytearray()
            async for chunk in answer.aiter_bytes():
                raw += chunk
                if len(raw) > _MAX_BYTES:
                    raise ValueError("the key set is too large")
        return httpx.Response(200, content=bytes(raw)).json()


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
        urlsplit(url).port  # noqa: B018 - raises where it is none
        address.host.encode("idna")  # as a look-up does
    except (httpx.InvalidURL, ValueError):
        raise ValueError("this is no URL") from None
    if not address.host or " " in url:
        raise ValueError("the URL names no host")
    return address


def _keys_of(document: Any) -> dict[str, SigningKey]:
    """The keys that check a signature by a private key; symmetric ones are no business of ours."""
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("this is no key set")  # noqa: TRY004 - bad data, not a bad call
    keys = [key for member in members if (key := _key_of(member)) is not None]
    if not keys:
        raise ValueError("the set holds no key that can be used")
    return {
        key.jwk.key_id: key
        for key in keys
        if key.jwk.key_id and key.jwk.key_type != "oct" and key.jwk.public_key_use in (None, "sig")
    }


def _key_of(member: Any) -> SigningKey | None:
    """One key of a set; None where it cannot be used, which must not take the others away."""
    if not isinstance(member, dict):
        return None
    try:
        jwk = PyJWK(member)
    except (PyJWTError, TypeError, ValueError, NotImplementedError):
        return None
    # PyJWT takes an RSA key that names no algorithm for one of RS256 alone.
    is_open = jwk.key_type == "RSA" and not member.get("alg")
    return SigningKey(jwk, _FIT_RSA if is_open else frozenset({jwk.algorithm_name}))
