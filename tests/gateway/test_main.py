import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.certificates import Authority
from tests.duplex import Duplex, duplex
from tests.gateway.polling import until
from tests.gateway.raw_http import GET, TEXT, URL, connected, send_raw
from tests.gateway.scripted_inference import ScriptedInference, find_names
from tests.ports import has_ipv6

_LIMIT_S = 30
_TEXT = "Angela Merkel visited Seoul"


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a gateway whose environment has these variables too, perhaps by another command."""

    async def start(*command: str, **variables: str) -> Process:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return await asyncio.create_subprocess_exec(
            *command, sys.executable, "-m", "gateway", stdout=PIPE, stderr=PIPE
        )

    return start


class _Gateway:
    """A gateway in a process of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def port(self) -> int:
        while True:
            line = await self.read_line()
            if line["event"] == "gateway_listening":
                return int(line["port"])

    async def read_line(self) -> dict[str, Any]:
        assert self.process.stderr is not None
        line: dict[str, Any] = json.loads(await self.process.stderr.readline())
        self.lines.append(line)
        return line

    async def end(self) -> int:
        stdout, stderr = await self.process.communicate()
        assert stdout == b""
        self.lines += [json.loads(line) for line in stderr.splitlines()]
        assert self.process.returncode is not None
        return self.process.returncode


@pytest.fixture
async def gateway(inference: ScriptedInference, start: Start) -> AsyncIterator[_Gateway]:
    """A gateway in front of the scripted inference service."""
    process = await start(
        GATEWAY_HOST="127.0.0.1",
        GATEWAY_PORT="0",
        GATEWAY_INFERENCE_TARGET=f"dns:///127.0.0.1:{inference.port}",
        GATEWAY_LOG_LEVEL="debug",
    )
    yield _Gateway(process)
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def test_bad_settings_are_one_line_each_and_exit_2(start: Start) -> None:
    process = await start(GATEWAY_PORT="eighty", GATEWAY_DRAIN_TIMEOUT_S="-1")
    stdout, stderr = await process.communicate()
    lines = stderr.decode().splitlines()
    assert process.returncode == 2
    assert stdout == b""
    assert [line.split(":")[0] for line in lines] == ["GATEWAY_PORT", "GATEWAY_DRAIN_TIMEOUT_S"]


@pytest.mark.parametrize("option", ["dbb=1", "db=first"])
async def test_an_option_that_redis_has_not_is_said_at_the_start(start: Start, option: str) -> None:
    process = await start(
        GATEWAY_REDIS_URL=f"redis://:hush@localhost/?{option}", GATEWAY_LIMIT_TEXTS_PER_S="5"
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            _, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 2
    assert b"GATEWAY_REDIS_URL: an option after the ?" in stderr
    assert b"Traceback" not in stderr
    assert b"hush" not in stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://:hush@idp.example:443x/jwks",
        "http://",
        "https://:443/jwks",
        "http://1.2.3.999/",
        "http://127.0.0.1:99999/",
        "https://a..b/",
        "https://ex ample/",
    ],
)
async def test_an_address_that_can_be_none_of_an_issuers_keys_is_said_at_the_start(
    start: Start, url: str
) -> None:
    """As a fault of each request with a token it would be found much later."""
    process = await start(
        GATEWAY_HOST="127.0.0.1",
        GATEWAY_PORT="0",
        GATEWAY_JWKS_URL=url,
        GATEWAY_JWT_ISSUER="issuer",
        GATEWAY_JWT_AUDIENCE="nerve",
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            _, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 2
    assert stderr.splitlines()[-1].startswith(b"GATEWAY_JWKS_URL: ")
    assert b"https://host[:port]/path" in stderr
    assert b"Traceback" not in stderr
    assert b"hush" not in stderr


async def test_a_port_that_is_taken_is_one_line_and_exit_1(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start(GATEWAY_HOST="127.0.0.1", GATEWAY_PORT=str(port))
        stdout, stderr = await process.communicate()
    *_, line = stderr.splitlines()  # before it, perhaps, that few files may be open
    assert process.returncode == 1
    assert stdout == b""
    assert json.loads(line)["port"] == port
    assert "GATEWAY_PORT" in json.loads(line)["detail"]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no loopback of IPv6")
async def test_every_interface_of_ipv6_is_every_interface_of_ipv4_too(start: Start) -> None:
    """As for the inference service: what `localhost` leads to must not matter."""
    gateway = _Gateway(await start(GATEWAY_HOST="[::]", GATEWAY_PORT="0"))
    try:
        async with asyncio.timeout(_LIMIT_S), httpx.AsyncClient(trust_env=False) as http:
            port = await gateway.port()
            for host in ("127.0.0.1", "[::1]"):
                assert (await http.get(f"http://{host}:{port}/healthz")).status_code == 200
    finally:
        gateway.process.terminate()
        assert await gateway.end() == 0


async def _refuses(url: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False) as stranger:
            await stranger.get(f"{url}/healthz")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        pass  # taken from the backlog, then dropped
    return False


async def test_a_terminated_gateway_finishes_what_it_began(
    gateway: _Gateway, inference: ScriptedInference
) -> None:
    """A second connection is refused while the first request still runs."""
    go_on = asyncio.Event()

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await go_on.wait()
        return await find_names(request, context)

    inference.script = wait
    async with asyncio.timeout(_LIMIT_S):
        url = f"http://127.0.0.1:{await gateway.port()}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=_LIMIT_S) as http:
            running = asyncio.create_task(http.post("/v1/entities", json={"text": "Tim"}))
            await inference.arrived.wait()
            gateway.process.send_signal(signal.SIGTERM)
            while (await gateway.read_line())["event"] != "Shutting down":
                pass
            await until(lambda: _refuses(url))
            go_on.set()
            assert (await running).status_code == 200
        assert await gateway.end() == 0


@pytest.mark.parametrize(
    ("limit", "max_connections", "taken"),
    [("-Sn 64", 100, 100), ("-n 200", 20_000, 100)],
    ids=["soft", "hard"],
)
async def test_connections_fit_the_files_that_may_be_open(
    start: Start, inference: ScriptedInference, limit: str, max_connections: int, taken: int
) -> None:
    """The soft limit is raised; what the hard one has no room for is refused with a word."""
    process = await start(
        *("sh", "-c", f'ulimit {limit} && exec "$@"', "sh"),
        GATEWAY_HOST="127.0.0.1",
        GATEWAY_PORT="0",
        GATEWAY_INFERENCE_TARGET=f"dns:///127.0.0.1:{inference.port}",
        GATEWAY_MAX_CONNECTIONS=str(max_connections),
    )
    gateway = _Gateway(process)
    async with asyncio.timeout(_LIMIT_S), contextlib.AsyncExitStack() as open_ones:
        url = f"http://127.0.0.1:{await gateway.port()}"
        http = await open_ones.enter_async_context(
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=_LIMIT_S)
        )
        assert (await http.get("/healthz")).status_code == 200  # keeps its connection
        for _ in range(taken - 1):
            await open_ones.enter_async_context(connected(http))
        assert (await send_raw(http, GET)).statuses == [503]
        assert (await http.post(URL, json=TEXT)).status_code == 200
    process.terminate()
    assert await gateway.end() == 0
    said = [line for line in gateway.lines if line["event"] == "gateway_connections_fewer"]
    assert [line["max_connections"] for line in said] == [taken] * (max_connections > taken)
    assert all("to 20128" in line["detail"] for line in said)


async def test_a_terminated_gateway_ends_its_streams_once_it_has_answered_what_it_read(
    gateway: _Gateway, inference: ScriptedInference
) -> None:
    """One that still sends, one that waits for an answer, and one that has sent all."""
    go_on = asyncio.Event()

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await go_on.wait()
        return await find_names(request, context)

    async def all_came() -> bool:
        return len(inference.requests) == 3

    async with asyncio.timeout(_LIMIT_S):
        path, line = "/v1/entities:stream", b'{"text": "Tim"}\n'
        port = await gateway.port()
        async with (
            duplex(port, path) as idle,
            duplex(port, path) as busy,
            duplex(port, path) as all_,
        ):
            await idle.send(line)
            await idle.head()
            assert (await idle.line())["line"] == 1
            inference.script = wait
            await busy.send(line)
            await all_.send(line)
            all_.end()
            await busy.head()
            await all_.head()
            await until(all_came)
            gateway.process.send_signal(signal.SIGTERM)
            last = await idle.line()
            assert last["error"]["reason"] == "DRAINING"
            assert "line" not in last
            assert await idle.line() == {}
            go_on.set()
            assert (await busy.line())["entities"]
            assert (await busy.line())["error"]["reason"] == "DRAINING"
            assert await busy.line() == {}
            assert (await all_.line())["entities"]
            assert await all_.line() == {}
        assert await gateway.end() == 0
    requests = [line for line in gateway.lines if line["event"] == "request"]
    assert sorted(line.get("reason", "") for line in requests) == ["", "DRAINING", "DRAINING"]
    assert not [line for line in gateway.lines if line["level"] == "error"]


async def test_a_stream_that_is_busy_when_the_gateway_stops_hears_of_it(
    gateway: _Gateway,
) -> None:
    """Its caller still sends while the answer ends: unread lines would reset the connection."""

    async def send(caller: Duplex) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await caller.send(b'{"text": "Tim"}\n')
                await asyncio.sleep(0.001)

    async with (
        asyncio.timeout(_LIMIT_S),
        duplex(await gateway.port(), "/v1/entities:stream") as caller,
    ):
        sending = asyncio.create_task(send(caller))
        await caller.head()
        for _ in range(100):
            assert (await caller.line())["entities"]
        gateway.process.send_signal(signal.SIGTERM)
        last: dict[str, Any] = {}
        async for line in caller.lines():
            last = line
            await asyncio.sleep(0.002)  # it works on each answer
            if "line" not in line:
                sending.cancel()  # it has heard
        assert last["error"]["reason"] == "DRAINING"
        assert await gateway.end() == 0


async def test_a_stream_that_the_drain_time_cuts_is_logged_as_that(
    start: Start, inference: ScriptedInference
) -> None:
    async def never(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        await asyncio.Event().wait()
        raise AssertionError

    inference.script = never
    process = await start(
        GATEWAY_HOST="127.0.0.1",
        GATEWAY_PORT="0",
        GATEWAY_INFERENCE_TARGET=f"dns:///127.0.0.1:{inference.port}",
        GATEWAY_DRAIN_TIMEOUT_S="0",
    )
    gateway = _Gateway(process)
    async with asyncio.timeout(_LIMIT_S):
        async with duplex(await gateway.port(), "/v1/entities:stream") as caller:
            await caller.send(b'{"text": "Tim"}\n')
            await inference.arrived.wait()
            process.send_signal(signal.SIGTERM)
            assert await gateway.end() == 0
    (request,) = [line for line in gateway.lines if line["event"] == "request"]
    assert (request["status"], request["reason"]) == (200, "DRAINING")


async def test_an_interrupt_ends_it_too(gateway: _Gateway) -> None:
    async with asyncio.timeout(_LIMIT_S):
        await gateway.port()
        gateway.process.send_signal(signal.SIGINT)
        assert await gateway.end() == 0


async def test_logs_are_json_and_never_hold_a_text(
    gateway: _Gateway, inference: ScriptedInference
) -> None:
    async def fail(_request: pb.RecognizeRequest, _context: Any) -> pb.RecognizeResponse:
        raise KeyError(_TEXT)

    async with asyncio.timeout(_LIMIT_S):
        url = f"http://127.0.0.1:{await gateway.port()}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            entities = "/v1/entities"
            await http.post(entities, json={"text": _TEXT}, headers={"x-request-id": "mine"})
            await http.post(entities, json={"text": [_TEXT]})
            await http.post(entities, content=f'{{"text": "{_TEXT}')
            await http.post("/api", json=_TEXT)
            await http.get(f"/{_TEXT}?{_TEXT}")
            inference.script = fail
            assert (await http.post(entities, json={"text": _TEXT})).status_code == 500
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.end() == 0
    requests = [line for line in gateway.lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 422, 415, 200, 404, 500]
    assert requests[0]["request_id"] == "mine"
    assert requests[1]["reason"] == "FIELD_INVALID"
    assert requests[4]["route"] == "unmatched"
    assert any(line["event"] == "inference_call_failed" for line in gateway.lines)
    for word in _TEXT.split():
        assert word not in json.dumps(gateway.lines)


async def test_a_tls_handshake_that_does_not_come_is_not_waited_for(
    start: Start, tmp_path: Path
) -> None:
    """Nor does it make the next caller wait."""
    authority = Authority(tmp_path, "ours")
    served = authority.issue("gateway")
    process = await start(
        GATEWAY_HOST="127.0.0.1",
        GATEWAY_PORT="0",
        GATEWAY_TLS_CERT_FILE=str(served.certificate),
        GATEWAY_TLS_KEY_FILE=str(served.key),
        GATEWAY_HEADER_TIMEOUT_S="0.5",
    )
    gateway = _Gateway(process)
    port = await gateway.port()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    tls = ssl.create_default_context(cafile=authority.file)
    async with asyncio.timeout(_LIMIT_S), httpx.AsyncClient(verify=tls, trust_env=False) as http:
        assert (await http.get(f"https://localhost:{port}/healthz")).status_code == 200
        assert await reader.read() == b"", "closed, though the loop's own patience is a minute"
    writer.close()
    process.terminate()
    assert await gateway.end() == 0
