"""The signing keys that an issuer publishes (JWKS, RFC 7517), fetched and kept."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWKError, PyJWKSetError

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

_FAILURES: Final = (
    httpx.HTTPError,
    TimeoutError,
    ValueError,
    RecursionError,
    PyJWKError,
    PyJWKSetError,
)


class Jwks:
    """An issuer's keys; `aclose` ends its connections, and the task that looks again.

    Args:
        url: of the key set.
        clock: monotonic seconds.
        timeout_s: time in which the whole set must arrive.

    Attributes:
        generation: counts the fetches that changed the keys.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._url: Final = url
        self._clock: Final = clock
        self._timeout_s: Final = timeout_s
        self._fetching: Final = asyncio.Lock()
        self._http: Final = httpx.AsyncClient(
            timeout=timeout_s, follow_redirects=False, trust_env=False
        )
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_s = -float("inf")
        self._tried_s = -float("inf")
        self._failed_s = -float("inf")  # since the last success
        self._behind: asyncio.Task[None] | None = None
        self.generation = 0

    async def find(self, key_id: str) -> PyJWK | None:
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
        except _FAILURES as error:
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


def _keys_of(document: Any) -> dict[str, PyJWK]:
    """The keys that check a signature by a private key; symmetric ones are no business of ours."""
    if not isinstance(document, dict):
        raise ValueError("the key set is no object")  # noqa: TRY004 - bad data, not a bad call
    return {
        key.key_id: key
        for key in PyJWKSet.from_dict(document).keys
        if key.key_id and key.key_type != "oct" and key.public_key_use in (None, "sig")
    }
