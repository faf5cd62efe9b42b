"""The ledger that several gateways share, in Redis.

Each decision is one script, which Redis runs whole before anything else: two gateways cannot both
take the last token. Its arithmetic is `gateway.token_bucket`'s, and a test compares the two. The
time is Redis's own, so clocks of gateways that differ do no harm.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from gateway.ledger import LedgerUnavailable
from gateway.token_bucket import Charge, Standing, Verdict
from telemetry.logs import get_logger

_LOG: Final = get_logger("gateway.limits")

# Redis in the same network answers in under a millisecond; a request must not wait much for it.
_TIMEOUT_S: Final = 0.25
# While it does not answer, it is asked this often; the requests between do not wait at all.
_RETRY_EVERY_S: Final = 1.0
_PREFIX: Final = "nerve:limits:"

# KEYS[1]: hash of the caller; per rule the fields <name> (level) and <name>@ (instant, in us).
# ARGV: name, rate a second, capacity, cost; repeated. Returns passes, then the level of each rule.
_TAKE: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local levels, passes, idle_s = {}, 1, 1
for i = 1, #ARGV, 4 do
  local rate, capacity = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local kept = redis.call('HMGET', KEYS[1], ARGV[i], ARGV[i] .. '@')
  local level = capacity
  if kept[1] then
    local gained = math.max(0, now - tonumber(kept[2])) / 1000000 * rate
    level = math.min(capacity, tonumber(kept[1]) + gained)
  end
  levels[#levels + 1] = level
  if level < math.min(tonumber(ARGV[i + 3]), capacity) then passes = 0 end
end
local answer = {passes}
for i = 1, #ARGV, 4 do
  local n = (i + 3) / 4
  if passes == 1 then levels[n] = levels[n] - tonumber(ARGV[i + 3]) end
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.17g', levels[n]),
             ARGV[i] .. '@', string.format('%.0f', now))
  local full_s = (tonumber(ARGV[i + 2]) - levels[n]) / tonumber(ARGV[i + 1])
  idle_s = math.max(idle_s, math.ceil(full_s))
  answer[#answer + 1] = string.format('%.17g', levels[n])
end
redis.call('EXPIRE', KEYS[1], math.max(idle_s, redis.call('TTL', KEYS[1])))
return answer
"""

# KEYS[1]: sorted set of the caller's running requests by the instant when they are given up for
# lost: a gateway that dies cannot say that they ended. ARGV: id, most, lease in seconds.
_ENTER: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[3])) + 1)
return 1
"""

# KEYS[1] as above. ARGV: lease in seconds, then ids; those that have ended do not come back.
_RENEW: Final = """
local t = redis.call('TIME')
local until_s = tonumber(t[1]) + tonumber(t[2]) / 1000000 + tonumber(ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', until_s, ARGV[i]) end
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[1])) + 1)
"""
# A renewal may fail twice, as while Redis is started anew, before a request is given up for lost.
_RENEWALS_PER_LEASE: Final = 3


class RedisLedger:
    """A ledger in Redis; `aclose` ends its connections, and the task that renews leases.

    Args:
        url: such as `redis://:password@host:6379/0`; `rediss://` for TLS.
        lease_s: time after which a running request is given up for lost, unless it is renewed.
        clock: monotonic seconds.

    Raises:
        TypeError, ValueError: the address has an option that there is not, or with a value that it
            cannot have.
    """

    def __init__(
        self, url: str, lease_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis: Final = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # A second attempt would only let the request wait longer.
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        # It connects to nothing; an unknown option would else break each request.
        self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        self._take: Final = self._redis.register_script(_TAKE)
        self._enter: Final = self._redis.register_script(_ENTER)
        self._extend: Final = self._redis.register_script(_RENEW)
        self._lease_s: Final = lease_s
        self._running: Final[dict[str, set[str]]] = {}  # ids by the key of their caller
        # Callers' keys and ids of requests that have ended, which Redis is still to be told: as
        # many as ran when it went away, for while it is away none is counted.
        self._owed: list[tuple[str, str]] = []
        self._renewal: asyncio.Task[None] | None = None
        self._clock: Final = clock
        self._away_until_s = -float("inf")
        self._away = False

    async def take(self, caller: str, charges: Sequence[Charge]) -> Verdict:
        """Decide on one request of a caller.

        Raises:
            LedgerUnavailable: Redis does not answer.
        """
        arguments: list[str | float] = []
        for charge in charges:
            rule = charge.rule
            arguments += (rule.name, rule.rate_per_s, rule.capacity, charge.cost)
        passed, *levels = await self._run(self._take, f"{_key(caller)}:used", arguments)
        standings = tuple(
            Standing(charge.rule, float(level))
            for charge, level in zip(charges, levels, strict=True)
        )
        if int(passed):
            return Verdict(passes=True, wait_s=0.0, standings=standings)
        waits = (
            (min(charge.cost, charge.rule.capacity) - standing.level) / charge.rule.rate_per_s
            for charge, standing in zip(charges, standings, strict=True)
        )
        return Verdict(passes=False, wait_s=max(waits), standings=standings)

    async def enter(self, caller: str, request_id: str, most: int) -> bool:
        """Count a request as running.

        Where it fails or is cancelled, what Redis may have counted all the same is taken back.

        Raises:
            LedgerUnavailable: Redis does not answer.
        """
        key = _running_key(caller)
        await self._settle()
        try:
            script = self._enter(keys=[key], args=[request_id, most, self._lease_s])
            entered = await self._ask(script)
        except BaseException:
            self._owed.append((key, request_id))
            raise
        if not entered:
            return False
        self._running.setdefault(key, set()).add(request_id)
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
        return True

    async def leave(self, caller: str, request_id: str) -> None:
        """Count a request as ended, once Redis answers; where it does not, its lease ends it."""
        key = _running_key(caller)
        ids = self._running.get(key, set())
        if request_id not in ids:  # it passed without being counted
            return
        ids.discard(request_id)
        if not ids:
            self._running.pop(key, None)
        self._owed.append((key, request_id))
        with suppress(LedgerUnavailable):
            await self._settle()

    async def aclose(self) -> None:
        """Close the connections; requests that still run are given up with their leases."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.cancel()
            await asyncio.wait([renewal])
        await self._redis.aclose()

    async def _renew(self) -> None:
        """Renew the leases of the requests that run, until none does."""
        try:
            while self._running:
                await asyncio.sleep(self._lease_s / _RENEWALS_PER_LEASE)
                for key, ids in [(key, tuple(ids)) for key, ids in self._running.items()]:
                    with suppress(LedgerUnavailable):
                        await self._run(self._extend, key, [self._lease_s, *ids])
        finally:
            self._renewal = None

    async def _run(self, script: Any, key: str, arguments: list[Any]) -> Any:
        await self._settle()
        return await self._ask(script(keys=[key], args=arguments))

    async def _settle(self) -> None:
        """Take back what is owed, before Redis is asked for anything else.

        Raises:
            LedgerUnavailable: Redis does not answer, or did not a moment ago.
        """
        now_s = self._clock()
        if now_s < self._away_until_s:
            raise LedgerUnavailable
        if self._away:  # one asks whether it is back; who comes meanwhile does not wait for that
            self._away_until_s = now_s + _RETRY_EVERY_S
        if not self._owed:
            return
        owed, self._owed = self._owed, []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, request_id in owed:
                pipeline.zrem(key, request_id)
            try:
                await self._ask(pipeline.execute())
            except BaseException:
                self._owed = owed + self._owed
                raise

    async def _ask(self, question: Awaitable[Any]) -> Any:
        try:
            answer = await question
        except (RedisError, OSError) as error:
            self._note_away(error)
            raise LedgerUnavailable from None
        self._away_until_s = -float("inf")
        if self._away:
            self._away = False
            _LOG.info("limits_store_back")
        return answer

    def _note_away(self, error: Exception) -> None:
        self._away_until_s = self._clock() + _RETRY_EVERY_S
        if not self._away:
            self._away = True
            # The type alone: a message of the client may hold the address with its password.
            _LOG.error("limits_store_away", error=type(error).__name__)


def _key(caller: str) -> str:
    """The caller's key in Redis: its name may be a person's, and stays out of there.

    The braces put all of a caller's keys on one node of a Redis Cluster.
    """
    return f"{_PREFIX}{{{hashlib.sha256(caller.encode()).hexdigest()[:32]}}}"


def _running_key(caller: str) -> str:
    return f"{_key(caller)}:running"
