"""What a request may rely on whose text travels with others': real calls over a real port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from structlog.testing import capture_logs

from gateway.client import InferenceClient
from gateway.coalescing import JoinLimits
from gateway.errors import GatewayError, Reason
from gateway.joined_calls import JoinedCalls
from gateway.metrics import GatewayMetrics
from gateway.schemas import RecognizeBody
from gateway.single_text import SingleResult, single_query
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.polling import until
from tests.gateway.scripted_inference import Script, ScriptedInference, find_names, refuse

_URL = "/v1/entities"
_TIMEOUT_S = 10.0
# Nothing is sent because it has waited long: a test says what makes it sent.
_LIMITS = JoinLimits(calls=1, texts=3, chars=100, hold_s=60.0)


@pytest.fixture
async def calls(inference: ScriptedInference) -> AsyncIterator[JoinedCalls]:
    """Calls of three texts at most; while one is under way, texts gather until there are three."""
    client = InferenceClient(f"dns:///127.0.0.1:{inference.port}", 1_000_000)
    await client.open()
    calls = JoinedCalls(client, GatewayMetrics(), _LIMITS)
    yield calls
    await calls.aclose()
    await client.aclose()


Ask = Callable[..., "asyncio.Task[SingleResult]"]


@pytest.fixture
def ask(calls: JoinedCalls) -> Ask:
    """Asks for the entities of a text, in a task of its own."""

    def ask(
        text: str, request_id: str = "", timeout_s: float = _TIMEOUT_S, **options: Any
    ) -> "asyncio.Task[SingleResult]":
        query = single_query(RecognizeBody(text=text, **options))
        assert query is not None
        return asyncio.create_task(calls.recognize(query, timeout_s, request_id or text))

    return ask


@dataclass(frozen=True, slots=True)
class _Busy:
    """A call that is under way until it is released, and the ones after it."""

    go_on: asyncio.Event
    first: "asyncio.Task[SingleResult]"


@pytest.fixture
async def busy(inference: ScriptedInference, ask: Ask) -> AsyncIterator[_Busy]:
    """One call is under way, so that texts gather; `inference.script` answers the next."""
    go_on = asyncio.Event()

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await go_on.wait()
        return await find_names(request, context)

    inference.script = wait
    first = ask("first")
    await inference.arrived.wait()
    inference.arrived.clear()
    inference.script = find_names
    yield _Busy(go_on, first)
    go_on.set()
    await first


def _names(result: SingleResult) -> list[str]:
    return [entity.text for entity in result.result.entities.entities]


async def _reasons(*asked: "asyncio.Task[SingleResult]") -> list[Reason | None]:
    """The reason why each was refused; None for one that was answered."""
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    return [outcome.reason if isinstance(outcome, GatewayError) else None for outcome in outcomes]


async def test_texts_travel_in_one_call_and_each_gets_its_own_result(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    results = await asyncio.gather(ask("Tim sat"), ask("nobody"), ask("Ann met Bo"))
    assert [_names(result) for result in results] == [["Tim"], [], ["Ann", "Bo"]]
    # gRPC itself may ask again where the reason is DRAINING, but for all of them together.
    assert {len(request.texts) for request in inference.requests[1:]} == {3}
    assert sorted(inference.requests[1].texts) == ["Ann met Bo", "Tim sat", "nobody"]


async def test_what_gathered_is_sent_when_a_call_ends(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    asked = [ask("Tim"), ask("Ann")]
    await asyncio.sleep(0)
    busy.go_on.set()
    assert [_names(await task) for task in asked] == [["Tim"], ["Ann"]]
    assert [len(request.texts) for request in inference.requests] == [1, 2]


async def test_only_those_that_ask_for_the_same_are_joined(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    utf16 = [ask(name, offset_unit="utf16", model="m") for name in ("A", "B", "C")]
    plain = [ask(name) for name in ("D", "E", "F")]
    assert [(await task).model for task in (*utf16, *plain)] == ["m"] * 3 + ["ner-en"] * 3
    joined = {tuple(request.texts): request for request in inference.requests}
    assert joined["A", "B", "C"].options.offset_unit == pb.UTF16
    assert joined["A", "B", "C"].model == "m"
    assert joined["D", "E", "F"].options.offset_unit == pb.CODEPOINT


async def test_a_long_text_goes_alone_and_at_once(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    assert _names(await ask("Tim " + "x" * 200)) == ["Tim"]
    assert not busy.first.done()


async def test_a_text_that_fails_fails_alone(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    async def reject_bad(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        response = await find_names(request, context)
        for text, result in zip(request.texts, response.results, strict=True):
            if text == "bad":
                result.error.reason = pb.ErrorReason.TEXT_TOO_LONG
        return response

    inference.script = reject_bad
    results = await asyncio.gather(ask("Tim"), ask("bad"), ask("Ann"))
    assert [result.result.WhichOneof("outcome") for result in results] == [
        "entities", "error", "entities",
    ]  # fmt: skip
    # gRPC itself may ask again where the reason is DRAINING, but for all of them together.
    assert {len(request.texts) for request in inference.requests[1:]} == {3}


@pytest.mark.parametrize(
    ("script", "reason", "retry_after_s"),
    [
        (refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_s=2.2),
         Reason.QUEUE_FULL, 3),
        (refuse(grpc.StatusCode.UNAVAILABLE, "DRAINING"), Reason.DRAINING, 1),
        (refuse(grpc.StatusCode.UNAVAILABLE, None), Reason.INFERENCE_UNAVAILABLE, 1),
        (refuse(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"), Reason.MODEL_NOT_FOUND, None),
    ],
)  # fmt: skip
async def test_a_call_that_is_refused_is_refused_to_each_and_not_repeated(
    inference: ScriptedInference,
    ask: Ask,
    busy: _Busy,
    script: Script,
    reason: Reason,
    retry_after_s: int | None,
) -> None:
    inference.script = script
    outcomes = await asyncio.gather(*map(ask, "ABC"), return_exceptions=True)
    assert all(isinstance(outcome, GatewayError) for outcome in outcomes)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, GatewayError)]
    assert [(error.reason, error.retry_after_s) for error in refusals] == [
        (reason, retry_after_s)
    ] * 3
    assert len(set(map(id, refusals))) == 3, "each raises its own"
    # gRPC itself may ask again where the reason is DRAINING, but for all of them together.
    assert {len(request.texts) for request in inference.requests[1:]} == {3}


async def _fault(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
    raise KeyError


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (refuse(grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_TEXTS"), Reason.TOO_MANY_TEXTS),
        (refuse(grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG"), Reason.TEXT_TOO_LONG),
        (refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, None), Reason.BODY_TOO_LARGE),
        (_fault, Reason.INTERNAL),
    ],
)
async def test_a_text_that_would_fail_the_call_fails_alone(
    inference: ScriptedInference, ask: Ask, busy: _Busy, script: Script, reason: Reason
) -> None:
    async def fail_for_bad(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        chosen = script if "bad" in request.texts else find_names
        return await chosen(request, context)

    inference.script = fail_for_bad
    assert await _reasons(ask("Tim"), ask("bad"), ask("Ann")) == [None, reason, None]
    assert [len(request.texts) for request in inference.requests] == [1, 3, 1, 1, 1]


async def test_a_response_that_does_not_fit_is_a_fault_of_each(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    async def lose_one(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        response = await find_names(request, context)
        del response.results[0]
        return response

    inference.script = lose_one
    assert await _reasons(*map(ask, "ABC")) == [Reason.INTERNAL] * 3


class _Held:
    """A script that keeps its calls until `go_on`."""

    def __init__(self, inference: ScriptedInference) -> None:
        self.go_on = asyncio.Event()
        inference.script = self

    async def __call__(self, request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await self.go_on.wait()
        return await find_names(request, context)


async def test_each_has_its_own_deadline_and_the_call_the_latest(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    held = _Held(inference)
    hasty, patient, last = ask("A", timeout_s=0.05), ask("B", timeout_s=8), ask("C", timeout_s=5)
    assert await _reasons(hasty) == [Reason.DEADLINE_EXCEEDED]
    held.go_on.set()
    assert [_names(await task) for task in (patient, last)] == [["B"], ["C"]]
    assert 5 < inference.deadlines_s[1] < 9
    assert not inference.cancelled.is_set()


async def test_a_deadline_that_passes_before_the_call_is_sent_is_kept(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    assert await _reasons(ask("A", timeout_s=0.05)) == [Reason.DEADLINE_EXCEEDED]
    busy.go_on.set()
    await busy.first
    assert _names(await ask("B")) == ["B"]
    assert [list(request.texts) for request in inference.requests] == [["first"], ["B"]]


async def test_who_leaves_leaves_the_neighbours_alone(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    held = _Held(inference)
    leaving, *staying = map(ask, "ABC")
    await inference.arrived.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    held.go_on.set()
    assert [_names(await task) for task in staying] == [["B"], ["C"]]
    assert leaving.cancelled()
    assert not inference.cancelled.is_set()


async def test_a_call_that_everybody_left_is_cancelled(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    _Held(inference)
    leaving = [*map(ask, "ABC")]
    await inference.arrived.wait()
    for task in leaving:
        assert not inference.cancelled.is_set()
        task.cancel()
        await asyncio.wait([task])
    async with asyncio.timeout(_TIMEOUT_S):
        await inference.cancelled.wait()


async def test_a_call_that_was_cancelled_makes_room_for_the_next(
    inference: ScriptedInference, ask: Ask
) -> None:
    _Held(inference)
    leaving = ask("A")
    await inference.arrived.wait()
    leaving.cancel()
    inference.script = find_names
    async with asyncio.timeout(_TIMEOUT_S):
        assert _names(await ask("B")) == ["B"]


@pytest.mark.parametrize("turns", range(6))
async def test_a_call_that_is_left_at_any_moment_makes_room_for_the_next(
    inference: ScriptedInference, ask: Ask, turns: int
) -> None:
    """Also one whose task has not made its first step."""
    leaving = ask("A")
    for _ in range(turns):
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    async with asyncio.timeout(_TIMEOUT_S):
        assert _names(await ask("B")) == ["B"]


async def test_a_lone_text_travels_with_its_requests_id_and_a_failed_joint_call_names_all(
    inference: ScriptedInference, ask: Ask, busy: _Busy
) -> None:
    inference.script = refuse(grpc.StatusCode.UNAVAILABLE, "DRAINING")
    with capture_logs() as lines:
        await _reasons(ask("A", "id-a"), ask("B", "id-b"), ask("C", "id-c"))
    own, joint = dict.fromkeys(inference.request_ids)  # a repeated call keeps its own
    assert own == "first"
    (line,) = (line for line in lines if line["event"] == "joined_call_failed")
    assert line["request_id"] == joint
    assert line["of_requests"] == ["id-a", "id-b", "id-c"]
    assert joint not in line["of_requests"]


async def test_closing_cancels_what_is_under_way(
    inference: ScriptedInference, calls: JoinedCalls, ask: Ask
) -> None:
    _Held(inference)
    left = ask("A")
    await inference.arrived.wait()
    await calls.aclose()
    async with asyncio.timeout(_TIMEOUT_S):
        await inference.cancelled.wait()
    assert await _reasons(left) == [Reason.DRAINING]


async def test_closing_refuses_what_has_gathered(
    inference: ScriptedInference, calls: JoinedCalls, ask: Ask
) -> None:
    _Held(inference)
    under_way = ask("A")
    await inference.arrived.wait()
    gathered = ask("B")
    await asyncio.sleep(0)
    await calls.aclose()
    assert await _reasons(under_way, gathered) == [Reason.DRAINING] * 2
    assert len(inference.requests) == 1


async def test_two_hundred_callers_at_once_get_their_own_answers_from_fewer_calls(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async def call(number: int) -> Any:
        text = f"{'x' * (number % 50)} Caller{number}"
        return (await http.post(_URL, json={"text": text})).json()["entities"][0]["text"]

    names = await asyncio.gather(*map(call, range(200)))
    assert names == [f"Caller{number}" for number in range(200)]
    assert sum(len(request.texts) for request in inference.requests) == 200
    assert len(inference.requests) < 200
    metrics = (await http.get("/metrics")).text
    assert "gateway_joined_texts_sum 200.0" in metrics
    assert f"gateway_joined_texts_count {len(inference.requests)}.0" in metrics


async def test_timings_are_those_of_one_text(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    """A joined call's would be the longest of its texts': who asks for them travels alone."""
    bodies = [{"text": f"Tim {i}", "timings": True} for i in range(30)]
    answers = await asyncio.gather(*(http.post(_URL, json=body) for body in bodies))
    assert all(answer.json()["timings"]["inference_ns"] == 3 for answer in answers)
    assert len(inference.requests) == 30


async def test_callers_that_go_away_are_noticed_within_a_joined_call(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    held = _Held(inference)
    tasks = [asyncio.create_task(http.post(_URL, json={"text": f"Tim {i}"})) for i in range(40)]

    async def all_came() -> bool:
        return sum(len(request.texts) for request in inference.requests) == 40

    await until(all_came)
    assert len(inference.requests) < 40
    for task in tasks[::2]:
        task.cancel()  # httpx closes the connection under the running request
    await until(lambda: _gone(http, 20))
    held.go_on.set()
    assert {(await task).status_code for task in tasks[1::2]} == {200}


async def _gone(http: httpx.AsyncClient, number: int) -> bool:
    text = (await http.get("/metrics")).text
    return f'route="{_URL}",status="499"}} {number}.0' in text
