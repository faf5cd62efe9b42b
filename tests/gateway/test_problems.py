import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.errors import GatewayError, Reason
from gateway.middleware import RequestIdLayer
from gateway.problems import ProblemLayer, documented

_TEXT = "Angela Merkel"

App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def _ask(app: App) -> httpx.Response:
    transport = httpx.ASGITransport(RequestIdLayer(ProblemLayer(app)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        return await http.get("/")


async def test_a_fault_is_a_500_that_says_only_the_request_id() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError(_TEXT)

    answer = await _ask(fail)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "internal error: quote the request id when you report it",
        "reason": "INTERNAL",
        "request_id": answer.headers["x-request-id"],
    }
    assert _TEXT not in answer.text


async def test_a_fault_within_an_answer_cuts_it() -> None:
    """Half an answer must not be mended into one that looks whole."""

    async def fail(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(_TEXT)

    with pytest.raises(GatewayError):
        await _ask(fail)


async def test_a_request_cut_by_the_end_of_the_drain_time_is_503() -> None:
    sent: list[int] = []

    async def wait(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message.get("status", 0))

    scope = {"type": "http", "path": "/", "headers": []}
    task = asyncio.ensure_future(RequestIdLayer(ProblemLayer(wait))(scope, receive, send))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent[0] == 503


def test_documented_problems_are_grouped_by_status() -> None:
    responses = documented(Reason.TEXT_EMPTY, Reason.FIELD_INVALID, Reason.QUEUE_FULL)
    assert list(responses) == [422, 429]
    examples = responses[422]["content"]["application/problem+json"]["examples"]
    assert list(examples) == ["TEXT_EMPTY", "FIELD_INVALID"]
    assert "Retry-After" in responses[429]["headers"]
