"""The layers that hold each caller to its limits.

Requests are counted before their body is read, texts once it is (`TextLimit`). The fields that
tell a caller where it stands are `RateLimit-Policy` and `RateLimit` of
draft-ietf-httpapi-ratelimit-headers-09, one item a rule: `q` and `w` are the bucket's capacity and
the seconds in which it fills, `r` what is left, `t` the seconds until it is full again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credentials.keys import Limits
from gateway.callers import Caller, caller_of
from gateway.client_address import Network, client_address
from gateway.errors import GatewayError, Reason
from gateway.ledger import Ledger, LedgerUnavailable
from gateway.middleware import HttpLayer, request_id_of
from gateway.security import OPEN_PATHS
from gateway.token_bucket import PASSES, Charge, Rule, Standing, Verdict

_FIELDS: Final = "gateway.limit_fields"
_RUNNING_CALLER: Final = "gateway.limited_caller"

# An answer says at most that: a debt may be of hours, but nobody plans with such a figure.
_MAX_WAIT_S: Final = 3600


@dataclass(frozen=True, slots=True)
class CallerRules:
    """The rules for one caller; None where there is no limit."""

    requests: Rule | None
    texts: Rule | None
    chars: Rule | None
    concurrent: int


class Limiter:
    """Decides on requests and their texts, by the caller's own limits or the service's.

    Args:
        ledger: where their use is written down; closed by its owner.
        defaults: limits of callers that have none of their own.
        burst_s: seconds of unused rate that a caller may save up.
        fail_open: whether requests pass when the ledger does not answer.
        proxies: networks whose `X-Forwarded-For` is believed.
    """

    def __init__(
        self,
        ledger: Ledger,
        defaults: Limits,
        burst_s: float,
        *,
        fail_open: bool,
        proxies: Sequence[Network] = (),
    ) -> None:
        self.ledger: Final = ledger
        self._defaults: Final = defaults
        self._burst_s: Final = burst_s
        self._fail_open: Final = fail_open
        self._proxies: Final = tuple(proxies)
        # Few: those of the keys file, of all its readings.
        self._rules: Final[dict[Limits, CallerRules]] = {}

    def caller(self, scope: Scope) -> Caller:
        """Whose limits a request is held to: its key's, or else its address's."""
        return caller_of(scope) or Caller(f"address:{client_address(scope, self._proxies)}")

    def rules(self, caller: Caller) -> CallerRules:
        """The rules for a caller."""
        rules = self._rules.get(caller.limits)
        if rules is None:
            rules = self._rules[caller.limits] = self._rules_of(caller.limits)
        return rules

    def _rules_of(self, own: Limits) -> CallerRules:
        defaults = self._defaults
        return CallerRules(
            requests=self._rule("requests", own.requests_per_s, defaults.requests_per_s),
            texts=self._rule("texts", own.texts_per_s, defaults.texts_per_s),
            chars=self._rule("chars", own.chars_per_s, defaults.chars_per_s),
            concurrent=int(_first(own.concurrent, defaults.concurrent) or 0),
        )

    async def take(self, caller: Caller, charges: Sequence[Charge]) -> Verdict:
        """Decide on charges, and write them down.

        Raises:
            GatewayError: LIMITS_UNAVAILABLE.
        """
        if not charges:
            return PASSES
        try:
            return await self.ledger.take(caller.name, charges)
        except LedgerUnavailable:
            self._without_ledger()
            return PASSES

    async def enter(self, caller: Caller, request_id: str, most: int) -> bool:
        """Count a request as running.

        Raises:
            GatewayError: LIMITS_UNAVAILABLE.
        """
        try:
            return await self.ledger.enter(caller.name, request_id, most)
        except LedgerUnavailable:
            self._without_ledger()
            return True

    def _without_ledger(self) -> None:
        if not self._fail_open:
            raise GatewayError(
                Reason.LIMITS_UNAVAILABLE, "the limits cannot be checked: try again shortly"
            )

    def _rule(self, name: str, own: float | None, default: float | None) -> Rule | None:
        rate_per_s = _first(own, default)
        if not rate_per_s:
            return None
        # At least one: a rate of one request in a minute must let that one pass.
        return Rule(name, rate_per_s, max(1.0, rate_per_s * self._burst_s))


class LimitLayer(HttpLayer):
    """Refuses the requests of a caller that has used up its requests, or has too many running.

    Args:
        app: the next layer.
        limiter: decides.
    """

    def __init__(self, app: ASGIApp, limiter: Limiter) -> None:
        super().__init__(app)
        self._limiter: Final = limiter

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        limiter = self._limiter
        caller = scope[_RUNNING_CALLER] = limiter.caller(scope)
        rules = limiter.rules(caller)
        if rules.requests is not None:
            verdict = await limiter.take(caller, [Charge(rules.requests, 1.0)])
            note_standing(scope, verdict.standings)
            refuse_over(verdict)
        if not rules.concurrent:
            await self.app(scope, receive, send)
            return
        request_id = f"{request_id_of(scope)}:{id(scope)}"
        if not await limiter.enter(caller, request_id, rules.concurrent):
            raise GatewayError(
                Reason.RATE_LIMITED,
                f"{rules.concurrent} requests of yours are running, which is your limit:"
                " wait for one of them",
            )
        try:
            await self.app(scope, receive, send)
        finally:
            await limiter.ledger.leave(caller.name, request_id)


class TextLimit:
    """Holds callers to their limits of texts and characters.

    Args:
        limiter: decides.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter: Final = limiter

    async def charge(self, scope: Scope, texts: Sequence[str], *, tell: bool = True) -> None:
        """Count texts, or refuse them.

        Args:
            scope: the request's.
            texts: to be counted.
            tell: say in the fields of the answer what is left.

        Raises:
            GatewayError: RATE_LIMITED or LIMITS_UNAVAILABLE.
        """
        caller: Caller = scope[_RUNNING_CALLER]
        rules = self._limiter.rules(caller)
        if rules.texts is None and rules.chars is None:
            return
        charges = []
        if rules.texts is not None:
            charges.append(Charge(rules.texts, float(len(texts))))
        if rules.chars is not None:
            charges.append(Charge(rules.chars, float(sum(map(len, texts)))))
        verdict = await self._limiter.take(caller, charges)
        if tell:
            note_standing(scope, verdict.standings)
        refuse_over(verdict)


class LimitFieldLayer(HttpLayer):
    """Tells callers where they stand, in every answer, refusals included."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start" and _FIELDS in scope:
                message["headers"] = [*message["headers"], *fields(scope[_FIELDS])]
            await send(message)

        await self.app(scope, receive, send_with_fields)


def note_standing(scope: Scope, standings: tuple[Standing, ...]) -> None:
    """Keep what is left for the answer's fields."""
    if standings:
        scope[_FIELDS] = (*scope.get(_FIELDS, ()), *standings)


def refuse_over(verdict: Verdict) -> None:
    """Raise where a verdict refuses.

    Raises:
        GatewayError: RATE_LIMITED, with the seconds to wait.
    """
    if verdict.passes:
        return
    wait_s = min(_MAX_WAIT_S, max(1, math.ceil(verdict.wait_s)))
    raise GatewayError(
        Reason.RATE_LIMITED,
        f"your limit is used up: try again in {wait_s} s",
        retry_after_s=wait_s,
    )


def fields(standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """Write `RateLimit-Policy` and `RateLimit`, structured fields (RFC 9651)."""
    policies = ", ".join(
        f'"{s.rule.name}";q={int(s.rule.capacity)};w={_whole(s.rule.capacity / s.rule.rate_per_s)}'
        for s in standings
    )
    left = ", ".join(
        f'"{s.rule.name}";r={max(0, int(s.level))};t={_whole(s.full_in_s)}' for s in standings
    )
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode())]


def _whole(seconds: float) -> int:
    return max(0, math.ceil(seconds))


def _first(own: float | None, default: float | None) -> float | None:
    return default if own is None else own
