"""What each caller has used lately, kept in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.token_bucket import Bucket, Charge, Verdict, take

# A caller costs about 1 kB here. Callers without a key are told apart by their address, and whoever
# has many addresses must not fill the memory; the ones forgotten first are those idle longest.
_MAX_CALLERS: Final = 20_000
# Accounts looked at to forget one. Where all of them run, as many requests are open as callers are
# remembered, and connections are bounded too.
_LOOKS: Final = 8


class LedgerUnavailable(Exception):
    """The place where the ledger is kept does not answer."""


class Ledger(Protocol):
    """Where the use of limits is written down."""

    async def take(self, caller: str, charges: Sequence[Charge]) -> Verdict:
        """Decide on one request of a caller, and write down what it costs if it passes.

        Raises:
            LedgerUnavailable: it cannot be decided.
        """

    async def enter(self, caller: str, request_id: str, most: int) -> bool:
        """Count a request as running; False if `most` of the caller's already are.

        Raises:
            LedgerUnavailable: it cannot be counted.
        """

    async def leave(self, caller: str, request_id: str) -> None:
        """Count a request as ended; never raises."""

    async def aclose(self) -> None:
        """Close what it holds."""


@dataclass(slots=True)
class _Account:
    buckets: dict[str, Bucket] = field(default_factory=dict)
    running: int = 0


class MemoryLedger:
    """The ledger of one process: several gateways each grant the whole limit.

    Args:
        clock: monotonic seconds.
        max_callers: callers remembered; of those beyond, the longest idle one is forgotten, unless
            requests of it run.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, max_callers: int = _MAX_CALLERS
    ) -> None:
        self._clock: Final = clock
        self._max_callers: Final = max_callers
        self._accounts: Final[OrderedDict[str, _Account]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    async def take(self, caller: str, charges: Sequence[Charge]) -> Verdict:
        """Decide on one request of a caller."""
        account = self._account(caller)
        verdict, buckets = take(account.buckets, charges, self._clock())
        account.buckets.update(buckets)
        return verdict

    async def enter(self, caller: str, request_id: str, most: int) -> bool:
        """Count a request as running."""
        del request_id
        account = self._account(caller)
        if account.running >= most:
            return False
        account.running += 1
        return True

    async def leave(self, caller: str, request_id: str) -> None:
        """Count a request as ended."""
        del request_id
        account = self._accounts.get(caller)
        if account is not None:
            account.running -= 1

    async def aclose(self) -> None:
        """Nothing is held."""

    def _account(self, caller: str) -> _Account:
        account = self._accounts.get(caller)
        if account is None:
            account = self._accounts[caller] = _Account()
            self._forget()
        self._accounts.move_to_end(caller)
        return account

    def _forget(self) -> None:
        for _ in range(_LOOKS):
            if len(self._accounts) <= self._max_callers:
                return
            oldest = next(iter(self._accounts))
            if self._accounts[oldest].running:
                self._accounts.move_to_end(oldest)
            else:
                del self._accounts[oldest]
