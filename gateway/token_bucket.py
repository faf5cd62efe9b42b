"""The decision of a rate limit: token buckets that fill with time, which is an argument.

A bucket holds up to `capacity` tokens and gains `rate_per_s` of them each second. A request passes
when every bucket holds its cost, or is full; it then pays everywhere, or, refused, nowhere. A cost
over the capacity passes at a full bucket and leaves a debt, because a request that could never
pass would have to be refused for good, with a reason of its own.

So in any time of t seconds the requests that pass cost at most `capacity + rate_per_s * t`, and
once more the excess of one cost over the capacity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A bucket's shape.

    Attributes:
        name: what is counted, such as `requests`.
        rate_per_s: tokens gained each second, above 0.
        capacity: tokens at most, above 0.
    """

    name: str
    rate_per_s: float
    capacity: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """How full a bucket was at one instant.

    Attributes:
        level: tokens; negative: a debt.
        at_s: seconds of the clock that `take` is given.
    """

    level: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request costs by one rule."""

    rule: Rule
    cost: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left by one rule.

    Attributes:
        rule: the rule.
        level: tokens now; negative: a debt.
    """

    rule: Rule
    level: float

    @property
    def full_in_s(self) -> float:
        """Seconds until the bucket is full if nothing more is taken."""
        return (self.rule.capacity - self.level) / self.rule.rate_per_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request passes.

    Attributes:
        passes: whether it does.
        wait_s: seconds after which it would; 0 if it does.
        standings: what is left, in the order of the charges.
    """

    passes: bool
    wait_s: float
    standings: tuple[Standing, ...]


PASSES = Verdict(passes=True, wait_s=0.0, standings=())


def take(
    buckets: Mapping[str, Bucket], charges: Sequence[Charge], now_s: float
) -> tuple[Verdict, dict[str, Bucket]]:
    """Decide on one request.

    Args:
        buckets: by rule name; a missing one is full.
        charges: what the request costs, one a rule.
        now_s: seconds; earlier than a bucket's instant counts as that instant.

    Returns:
        The verdict, and the charged rules' buckets after it.
    """
    levels = [level_at(buckets.get(charge.rule.name), charge.rule, now_s) for charge in charges]
    verdict = judge(charges, levels)
    after = {
        standing.rule.name: Bucket(standing.level, _later(buckets.get(standing.rule.name), now_s))
        for standing in verdict.standings
    }
    return verdict, after


def judge(charges: Sequence[Charge], levels: Sequence[float]) -> Verdict:
    """Decide on one request whose buckets hold these tokens before it.

    Args:
        charges: what it costs, one a rule.
        levels: tokens, in the order of the charges.
    """
    waits = [
        (min(charge.cost, charge.rule.capacity) - level) / charge.rule.rate_per_s
        for charge, level in zip(charges, levels, strict=True)
    ]
    wait_s = max([0.0, *waits])
    passes = wait_s <= 0
    standings = tuple(
        Standing(charge.rule, level - charge.cost if passes else level)
        for charge, level in zip(charges, levels, strict=True)
    )
    return Verdict(passes, wait_s, standings)


def level_at(bucket: Bucket | None, rule: Rule, now_s: float) -> float:
    """Tokens in a bucket at an instant."""
    if bucket is None:
        return rule.capacity
    gained = max(0.0, now_s - bucket.at_s) * rule.rate_per_s
    return min(rule.capacity, bucket.level + gained)


def _later(bucket: Bucket | None, now_s: float) -> float:
    return now_s if bucket is None else max(now_s, bucket.at_s)
