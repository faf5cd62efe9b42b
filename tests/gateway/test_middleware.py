import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from gateway.disconnection import DisconnectLayer
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve
from tests.gateway.polling import until
from tests.gateway.scripted_inference import ScriptedInference, find_names

_URL = "/v1/entities"
_LIMIT_S = 5


async def _wait_for_word(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
    """Never answers a text that says so."""
    if "wait" in request.texts[0]:
        await asyncio.Event().wait()
    return await find_names(request, context)


async def _send(http: httpx.AsyncClient, body: bytes) -> asyncio.StreamWriter:
    """Send a request by hand, so that the connection can be cut at any moment."""
    _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    head = f"POST {_URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return writer


async def _requests(http: httpx.AsyncClient) -> dict[tuple[str, str, str], float]:
    """Count the requests by route, method and status, as the metrics have them."""
    text = (await http.get("/metrics")).text
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "gateway_http_requests_total"
    }


async def _counted_as_gone(http: httpx.AsyncClient) -> bool:
    return (_URL, "POST", "499") in await _requests(http)


async def test_a_caller_that_goes_away_cancels_its_call_and_no_other(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    inference.script = _wait_for_word
    gone = await _send(http, b'{"text": "wait"}')
    async with asyncio.timeout(_LIMIT_S):
        await inference.arrived.wait()
    neighbour = asyncio.create_task(http.post(_URL, json={"text": "Tim"}))
    gone.close()
    async with asyncio.timeout(_LIMIT_S):
        await inference.cancelled.wait()
        assert (await neighbour).status_code == 200
    await until(lambda: _counted_as_gone(http))


async def test_work_that_follows_an_answer_is_not_cancelled_by_its_end() -> None:
    """A server reports the end of an answer as a disconnect too."""
    answered = asyncio.Event()
    finished = False

    async def receive() -> Message:
        if not body_sent:
            body_sent.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        answered.set()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal finished
        await receive()
        await send({"type": "http.response.body"})
        for _ in range(5):
            await asyncio.sleep(0)
        finished = True

    body_sent: list[bool] = []
    await DisconnectLayer(app)({"type": "http"}, receive, send)
    assert finished


async def test_a_caller_that_goes_away_within_its_body_is_no_fault(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(
        f"POST {_URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        'content-length: 100\r\n\r\n{"text":'.encode()
    )
    await writer.drain()
    await http.get("/healthz")
    writer.close()
    await until(lambda: _counted_as_gone(http))
    assert not inference.requests


async def test_a_connection_serves_one_request_after_another(http: httpx.AsyncClient) -> None:
    """The end of an answer is not taken for a caller that went away."""
    for _ in range(20):
        assert (await http.post(_URL, json={"text": "Tim"})).status_code == 200
    assert (await _requests(http))[_URL, "POST", "200"] == 20


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/v1/models/nobody"])
async def test_every_answer_has_the_callers_request_id(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"X-Request-ID": "trace:1"})
    assert answer.headers.get_list("x-request-id") == ["trace:1"]


async def test_an_unsafe_request_id_is_replaced(http: httpx.AsyncClient) -> None:
    answer = await http.get("/nowhere", headers={"X-Request-ID": "a b<script>"})
    assert "script" not in answer.headers["x-request-id"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_streamed_body_is_counted_as_it_comes(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    async def chunks(n: int) -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(n):
            yield b"x" * 1000
        yield b'"}'

    headers = {"content-type": "application/json"}
    fits = await http.post(_URL, content=chunks(90), headers=headers)
    assert fits.status_code == 200
    answer = await http.post(_URL, content=chunks(200), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["reason"] == "BODY_TOO_LARGE"
    assert len(inference.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_bounded_together_and_small_ones_are_let_in(
    serve: Serve, settings: GatewaySettings, chunked: bool
) -> None:
    """Of callers who do not send all, too; what they sent counts until they are gone."""
    body = b'{"text": "Tim"}'.ljust(90_000)

    async def parts() -> AsyncIterator[bytes]:
        yield body

    async def status() -> int:
        content = parts() if chunked else body
        headers = {"content-type": "application/json"}
        answer = await http.post(_URL, content=content, headers=headers)
        if answer.status_code == 429:
            assert answer.json()["reason"] == "BODIES_FULL"
            assert answer.headers["retry-after"] == "1"
        return answer.status_code

    async def is_full() -> bool:
        return await status() == 429

    async def is_let_in() -> bool:
        return await status() == 200

    held = settings.model_copy(update={"max_held_body_bytes": 150_000})
    async with serve(held) as http:
        assert await is_let_in()
        _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        head = f"POST {_URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: 90000\r\n\r\n".encode() + body[:80_000])
        await until(is_full)
        assert (await http.post(_URL, json={"text": "Tim"})).status_code == 200
        writer.close()
        await until(is_let_in)


async def test_a_body_counts_by_what_it_was_unpacked_to(
    serve: Serve, settings: GatewaySettings, inference: ScriptedInference
) -> None:
    """Forty bytes of gzip may be a megabyte of white space."""
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Tim"]}
    packed = gzip.compress(json.dumps({"inputs": [tensor]}).encode().ljust(90_000))
    go_on = asyncio.Event()

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await go_on.wait()
        return await find_names(request, context)

    async def status() -> int:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        answer = await http.post("/v2/models/tiny/infer", content=packed, headers=headers)
        return answer.status_code

    inference.script = wait
    async with serve(settings.model_copy(update={"max_held_body_bytes": 150_000})) as http:
        first = asyncio.create_task(status())
        await inference.arrived.wait()
        assert await status() == 429
        go_on.set()
        assert await first == 200
        assert await status() == 200


async def test_who_goes_away_is_noticed_however_full_it_is(
    serve: Serve, settings: GatewaySettings, inference: ScriptedInference
) -> None:
    gone = asyncio.Event()

    async def wait(_request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        context.add_done_callback(lambda _: gone.set())
        await asyncio.Event().wait()
        raise AssertionError

    inference.script = wait
    held = settings.model_copy(update={"max_held_body_bytes": 100_000})
    async with serve(held) as http, asyncio.timeout(_LIMIT_S):
        host, port = http.base_url.host, http.base_url.port
        fields = "host: x\r\ncontent-type: application/json\r\n"
        _, large = await asyncio.open_connection(host, port)
        body = b'{"text": "Tim"}'.ljust(90_000)
        large.write(
            f"POST {_URL} HTTP/1.1\r\n{fields}content-length: 90000\r\n\r\n".encode() + body
        )
        await inference.arrived.wait()
        small = [await asyncio.open_connection(host, port) for _ in range(2)]
        for _, writer in small:
            head = f"POST {_URL} HTTP/1.1\r\n{fields}transfer-encoding: chunked\r\n\r\n"
            writer.write(head.encode() + b"ea60\r\n" + b" " * 60_000)
        await asyncio.sleep(0.5)  # until they are held, and the large one is watched
        large.close()
        await gone.wait()
        for _, writer in small:
            writer.close()


async def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(
    http: httpx.AsyncClient,
) -> None:
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(
        f"POST {_URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        "content-length: 100001\r\n\r\n".encode()
    )
    async with asyncio.timeout(_LIMIT_S):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()


@pytest.mark.parametrize(
    ("length", "body", "status"), [(2, "{}", b"422"), (0, "", b"400"), (100_001, "", b"413")]
)
async def test_a_length_may_begin_with_any_number_of_zeros(
    http: httpx.AsyncClient, length: int, body: str, status: bytes
) -> None:
    """They mean nothing, and the parser of the head takes them."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(
        f"POST {_URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {'0' * 5000}{length}\r\n\r\n{body}".encode()
    )
    async with asyncio.timeout(_LIMIT_S):
        assert (await reader.readline()).split()[1] == status
    writer.close()


async def test_a_body_at_the_limit_is_taken(http: httpx.AsyncClient) -> None:
    body = json.dumps({"text": "x" * (100_000 - len(json.dumps({"text": ""})))})
    assert len(body) == 100_000
    headers = {"content-type": "application/json"}
    assert (await http.post(_URL, content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/oauth2-redirect"])
async def test_a_page_of_the_documentation_is_a_route(http: httpx.AsyncClient, path: str) -> None:
    """`unmatched` is for paths that do not exist."""
    assert (await http.get(path)).status_code == 200
    assert (await http.put(path)).status_code == 405
    requests = await _requests(http)
    assert requests == {(path, "GET", "200"): 1, (path, "PUT", "405"): 1}


async def test_labels_of_the_metrics_are_bounded(http: httpx.AsyncClient) -> None:
    """Paths and methods are the callers' to invent: they must not become new series."""
    for i in range(5):
        await http.get(f"/nowhere/{i}")
        await http.get(f"/v1/models/nobody{i}")
        await http.request("PROPFIND", f"/{i}")
    requests = await _requests(http)
    assert requests["unmatched", "GET", "404"] == 5
    assert requests["unmatched", "other", "404"] == 5
    assert requests["/v1/models/{name}", "GET", "404"] == 5
    assert len(requests) <= 4


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", _URL, "POST"),
        ("HEAD", _URL, "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/v1/models/ner-en", "GET, HEAD"),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_405(
    http: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow
    assert answer.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert answer.json()["reason"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/nowhere", "/v1/entities/", "/v1/models/", "/v1/models/a/b"])
async def test_a_path_that_is_not_there_is_404(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, json={"text": "Tim"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "ROUTE_NOT_FOUND"
