"""Callers who ask all the time, and count what they got."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.e2e.stack import WAIT_S
from tests.plain_http import NO_TLS

_CALLERS = 8
# A person's pace rather than a flood: what is lost is to be seen, not what is fast, and whatever
# starts beside them needs the processor.
_PAUSE_S = 0.15


@dataclass(slots=True)
class Count:
    """What callers were answered.

    Attributes:
        answered: requests with the right answer.
        failed: what was answered instead: a status, or that the answer was wrong.
        cut: connections that ended before the answer came; the request was sent again.
        lost: requests that no gateway took.
    """

    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    lost: int = 0

    async def more(self, requests: int = 25) -> None:
        """Waits until so many more were answered."""
        wanted = self.answered + requests
        async with asyncio.timeout(WAIT_S):
            while self.answered < wanted:  # noqa: ASYNC110 - counted in many places
                await asyncio.sleep(0.01)


class _Callers:
    def __init__(self, urls: Sequence[str], count: Count) -> None:
        self._urls = urls
        self._count = count
        self._numbers = itertools.count()
        self.done = False

    async def call(self, http: httpx.AsyncClient) -> None:
        """Asks one gateway after the other, and the next where the connection is cut."""
        while not self.done:
            await self._ask(http, next(self._numbers))
            await asyncio.sleep(_PAUSE_S)

    async def _ask(self, http: httpx.AsyncClient, number: int) -> None:
        body = {"text": f"apple {'a ' * (number % 7)}met angela merkel"}
        for attempt in range(2 * len(self._urls)):
            url = self._urls[(number + attempt) % len(self._urls)]
            try:
                response = await http.post(f"{url}/v1/entities", json=body)
            except httpx.TransportError:
                self._count.cut += 1
                continue
            self._note(response)
            return
        self._count.lost += 1

    def _note(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            reason = response.json().get("reason")
            self._count.failed[f"{response.status_code} {reason}"] += 1
            return
        found = [entity["text"] for entity in response.json()["entities"]]
        if found == ["apple", "angela merkel"]:
            self._count.answered += 1
        else:
            self._count.failed["wrong answer"] += 1


@asynccontextmanager
async def calling(urls: Sequence[str], callers: int = _CALLERS) -> AsyncIterator[Count]:
    """Callers who ask as long as the context lasts; all of them have their answer at its end."""
    count = Count()
    asking = _Callers(urls, count)
    limits = httpx.Limits(max_connections=4 * callers)
    async with (
        httpx.AsyncClient(timeout=WAIT_S, limits=limits, trust_env=False, verify=NO_TLS) as http,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(callers):
            tasks.create_task(asking.call(http))
        try:
            await count.more()
            yield count
            await count.more()
        finally:
            asking.done = True
