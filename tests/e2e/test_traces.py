"""What both services tell a collector of traces."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.otlp_collector import SeenSpan, collecting
from tests.e2e.stack import ROOT, WAIT_S, Process, serving

pytestmark = pytest.mark.timeout(180)

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_CALLER = "00f067aa0ba902b7"
_STAGES = ("tokenize", "queue", "run", "decode")
_URL = "/v1/entities"


Work = Callable[[Process], Awaitable[None]]


def _traced(folder: Path, work: Work) -> tuple[list[SeenSpan], str]:
    """The spans and the logs of a stack that did some work and then ended, which sends the rest."""
    with collecting() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "GATEWAY_JOINED_CALLS": "1",
            "INFERENCE_MAX_WAIT_MS": "0",  # nobody is put off, however slow the machine
        }
        with serving(folder, **settings) as stack:
            asyncio.run(_done(work, stack))
            stack.interrupt()
            assert stack.wait() == 0
            return collector.spans, stack.said()


async def _done(work: Work, stack: Process) -> None:
    await work(stack)


def _asking(*requests: tuple[str, dict[str, str]]) -> Work:
    """Asks for the entities of each text at the same time, with these headers."""

    async def work(stack: Process) -> None:
        async with httpx.AsyncClient(base_url=stack.ports.url, timeout=WAIT_S) as client:
            answers = await asyncio.gather(
                *(client.post(_URL, json={"text": t}, headers=h) for t, h in requests)
            )
        assert {answer.status_code for answer in answers} == {200}

    return work


def _named(spans: list[SeenSpan], name: str, service: str = "") -> list[SeenSpan]:
    return [s for s in spans if s.name == name and service in s.service]


def test_one_request_is_one_trace_from_its_caller_to_the_stages(tmp_path: Path) -> None:
    headers = {"traceparent": f"00-{_TRACE}-{_CALLER}-01", "x-request-id": "mine"}
    spans, said = _traced(tmp_path, _asking(("Angela Merkel in Seoul.", headers)))
    (request,) = _named(spans, f"POST {_URL}", "nerve-gateway")
    (call,) = _named(spans, "ner.v1.EntityRecognizer/Recognize", "nerve-gateway")
    (served,) = _named(spans, "ner.v1.EntityRecognizer/Recognize", "nerve-inference")
    stages = [_named(spans, stage, "nerve-inference")[0] for stage in _STAGES]
    assert {s.trace_id for s in (request, call, served, *stages)} == {_TRACE}
    assert [request.parent_id, call.parent_id, served.parent_id] == [
        _CALLER,
        request.span_id,
        call.span_id,
    ]
    assert {stage.parent_id for stage in stages} == {served.span_id}
    assert [s.started_ns for s in stages[1:]] == [s.ended_ns for s in stages[:-1]]
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["nerve.request_id"] == "mine"
    (batch,) = _named(spans, "batch")
    assert batch.trace_id != _TRACE
    assert batch.links == {served.span_id}
    assert stages[2].links == {batch.span_id}
    assert str(batch.attributes["nerve.model"]).startswith("ner-en/")
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    (line,) = (line for line in lines if line.get("request_id") == "mine")
    assert line["trace_id"] == _TRACE


def test_a_joined_call_links_its_requests_and_they_link_it(tmp_path: Path) -> None:
    """Forty at once through one call at a time: some must travel together."""
    # Long enough that the first call is under way when others come, short enough to be joined.
    texts = (f"Caller {n} is in Seoul. " + "Nobody knew why. " * 10 for n in range(40))
    spans, _ = _traced(tmp_path, _asking(*((text, {}) for text in texts)))
    requests = {s.span_id: s for s in _named(spans, f"POST {_URL}")}
    assert len(requests) == 40
    joined = _named(spans, "joined call", "nerve-gateway")
    assert joined
    for one in joined:
        assert one.parent_id == ""
        assert len(one.links) == one.attributes["nerve.texts"]
        assert len(one.links) > 1
        shares = [s for s in _named(spans, "recognize") if one.span_id in s.links]
        assert {share.parent_id for share in shares} == one.links
        assert one.links <= set(requests)
        (call,) = (s for s in spans if s.parent_id == one.span_id)
        assert call.trace_id == one.trace_id
    linked = [link for one in joined for link in one.links]
    assert len(linked) == len(set(linked)), "a request travels once"
    served = {s.span_id for s in _named(spans, "ner.v1.EntityRecognizer/Recognize", "inference")}
    batches = _named(spans, "batch")
    assert set().union(*(batch.links for batch in batches)) == served


def test_a_stream_and_the_other_calls_are_traced_too(tmp_path: Path) -> None:
    async def work(stack: Process) -> None:
        async with httpx.AsyncClient(base_url=stack.ports.url, timeout=WAIT_S) as client:
            lines = b'{"text": "Paris"}\n{"text": "Seoul"}\n'
            assert (await client.post(f"{_URL}:stream", content=lines)).status_code == 200
            hub = await client.post("/models/ner-en", json={"inputs": "Paris"})
            assert hub.status_code == 200
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/nothing")).status_code == 404

    spans, _ = _traced(tmp_path, work)
    for method, route, texts in (
        ("RecognizeStream", f"POST {_URL}:stream", 2),
        ("Classify", "POST /models/{name}", 1),
    ):
        (request,) = _named(spans, route)
        (call,) = _named(spans, f"ner.v1.EntityRecognizer/{method}", "gateway")
        (served,) = _named(spans, f"ner.v1.EntityRecognizer/{method}", "inference")
        assert (call.parent_id, served.parent_id) == (request.span_id, call.span_id)
        runs = [s for s in _named(spans, "run") if s.parent_id == served.span_id]
        assert len(runs) == texts
    assert _named(spans, "GET unmatched")
    assert not [s for s in spans if "healthz" in s.name or "Health" in s.name]


def test_a_collector_that_is_away_disturbs_nobody(tmp_path: Path) -> None:
    with collecting() as collector:
        gone = collector.endpoint
    # Nor does it keep a service from ending in the time that the supervisor leaves for that.
    quickly = {"GATEWAY_DRAIN_TIMEOUT_S": "1", "INFERENCE_DRAIN_TIMEOUT_S": "1"}
    with serving(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=gone, **quickly) as stack:
        asyncio.run(_done(_asking(*[("Seoul", {})] * 5), stack))
        stack.interrupt()
        assert stack.wait() == 0, stack.said()


def test_without_a_collector_the_sdk_is_not_imported() -> None:
    """So its cost is none, and its package may be missing; FastAPI looks for the API itself."""
    code = "import sys, gateway.__main__, inference.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    assert "telemetry.tracing" in loaded
    assert "opentelemetry.sdk" not in loaded
    assert "opentelemetry.exporter" not in loaded
