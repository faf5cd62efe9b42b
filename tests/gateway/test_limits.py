"""Limits of requests and texts, over a real port."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.client_address import client_address
from gateway.limits import fields
from gateway.settings import GatewaySettings
from gateway.token_bucket import Rule, Standing
from protos.ner.v1 import entity_recognizer_pb2 as pb
from tests.gateway.conftest import Serve
from tests.gateway.keys_file import KeysFile
from tests.gateway.redis_server import RedisServer
from tests.gateway.scripted_inference import ScriptedInference, find_names

_URL = "/v1/entities"
_TEXT = {"text": "Tim"}
# So slow that nothing comes back while a test runs.
_PER_S = 0.001


def _limited(settings: GatewaySettings, **limits: Any) -> GatewaySettings:
    """With limits, of which callers save up an hour."""
    return settings.model_copy(update={"limit_burst_s": 3000.0, **limits})


async def test_requests_over_the_limit_are_429_and_say_when_to_come_back(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    async with serve(_limited(settings, limit_requests_per_s=_PER_S)) as http:
        answers = [await http.post(_URL, json=_TEXT) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert len(inference.requests) == 3
    refused = answers[-1]
    assert refused.json()["reason"] == "RATE_LIMITED"
    assert 990 <= int(refused.headers["retry-after"]) <= 1000
    for answer, left in zip(answers, (2, 1, 0, 0, 0), strict=True):
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=3000'
        assert answer.headers["ratelimit"].startswith(f'"requests";r={left};t=')


async def test_health_is_never_limited(settings: GatewaySettings, serve: Serve) -> None:
    async with serve(_limited(settings, limit_requests_per_s=_PER_S)) as http:
        for _ in range(10):
            assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200


async def test_texts_and_characters_are_counted(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    limits = {"limit_texts_per_s": 10 * _PER_S, "limit_chars_per_s": 20 * _PER_S}  # 30, 60
    async with serve(_limited(settings, **limits)) as http:
        many = await http.post(_URL, json={"texts": ["a"] * 20})
        assert many.status_code == 200
        assert many.headers["ratelimit"].split(";t=")[0] == '"texts";r=10'
        assert (await http.post(_URL, json={"texts": ["a"] * 11})).status_code == 429
        assert (await http.post(_URL, json={"text": "é" * 40})).status_code == 200
        assert (await http.post(_URL, json={"text": "a"})).status_code == 429
        assert (await http.post("/api", json="a")).status_code == 429
    assert len(inference.requests) == 2


async def test_lines_of_a_stream_are_counted_and_fail_alone(
    settings: GatewaySettings, serve: Serve
) -> None:
    async with serve(_limited(settings, limit_texts_per_s=_PER_S)) as http:  # three
        lines = b'{"text": "Tim"}\n' * 3 + b'{"id": "late", "text": "Tim"}\n'
        answer = await http.post("/v1/entities:stream", content=lines)
    assert answer.status_code == 200
    first, *_, last = answer.text.splitlines()
    assert '"entities"' in first
    assert '"late"' in last
    assert '"RATE_LIMITED"' in last


async def test_requests_at_one_time_are_counted_and_given_back(
    settings: GatewaySettings, serve: Serve, inference: ScriptedInference
) -> None:
    """Also where the caller goes away."""
    go_on = asyncio.Event()

    async def wait(request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        await go_on.wait()
        return await find_names(request, context)

    inference.script = wait
    async with serve(_limited(settings, limit_concurrent=2)) as http:
        running = [asyncio.create_task(http.post(_URL, json=_TEXT)) for _ in range(2)]
        async with asyncio.timeout(10):
            while len(inference.requests) < 2:  # noqa: ASYNC110 - the script has no event for it
                await asyncio.sleep(0.01)
        assert (await http.post(_URL, json=_TEXT)).status_code == 429
        running[0].cancel()
        await asyncio.wait(running[:1])
        async with asyncio.timeout(10):
            await inference.cancelled.wait()
        go_on.set()
        assert (await running[1]).status_code == 200
        answers = await asyncio.gather(*(http.post(_URL, json=_TEXT) for _ in range(2)))
        assert [answer.status_code for answer in answers] == [200, 200]


async def test_each_key_has_its_own_limits(
    settings: GatewaySettings, serve: Serve, tmp_path: Path
) -> None:
    keys = KeysFile(tmp_path)
    usual, again = keys.add("usual"), keys.add("again")
    small = keys.add("small", more=f"limits = {{requests_per_s = {_PER_S / 3}}}")
    free = keys.add("free", more="limits = {requests_per_s = 0}")
    limited = _limited(settings, limit_requests_per_s=_PER_S, keys_file=keys.path)
    async with serve(limited) as http:
        passed = {
            name: sum(
                [(await http.post(_URL, json=_TEXT, headers=key)).status_code == 200
                 for _ in range(6)]
            )
            for name, key in (("usual", usual), ("again", again), ("small", small), ("free", free))
        }  # fmt: skip
    assert passed == {"usual": 3, "again": 3, "small": 1, "free": 6}


async def test_a_wrong_key_uses_up_nobodys_limit(
    settings: GatewaySettings, serve: Serve, tmp_path: Path
) -> None:
    keys = KeysFile(tmp_path)
    usual = keys.add("usual")
    limited = _limited(settings, limit_requests_per_s=_PER_S, keys_file=keys.path)
    async with serve(limited) as http:
        for _ in range(5):
            assert (await http.post(_URL, headers={"x-api-key": "x"})).status_code == 401
        assert (await http.post(_URL, json=_TEXT, headers=usual)).status_code == 200


async def test_an_invented_forwarded_address_does_not_evade_a_limit(
    settings: GatewaySettings, serve: Serve
) -> None:
    async with serve(_limited(settings, limit_requests_per_s=_PER_S)) as http:
        statuses = [
            (await http.get("/v1/models", headers={"x-forwarded-for": f"192.0.2.{n}"})).status_code
            for n in range(4)
        ]
    assert statuses == [200, 200, 200, 429]


async def test_behind_a_trusted_proxy_each_address_has_its_own(
    settings: GatewaySettings, serve: Serve
) -> None:
    trusting = GatewaySettings(trusted_proxies="127.0.0.0/8").trusted_proxies
    limited = _limited(settings, limit_requests_per_s=_PER_S, trusted_proxies=trusting)
    async with serve(limited) as http:
        statuses = [
            (
                await http.get(
                    "/v1/models", headers={"x-forwarded-for": f"10.9.9.9, 192.0.2.{n // 4}"}
                )
            ).status_code
            for n in range(8)
        ]
    assert statuses == [200, 200, 200, 429] * 2


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.0.0.9", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, <script>", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("testclient", "", "unknown"),
    ],
)
def test_whose_request_it_is(client: str, forwarded: str, expected: str) -> None:
    proxies = GatewaySettings(trusted_proxies="10.0.0.0/8").trusted_proxies
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_address({"client": (client, 1), "headers": headers}, proxies) == expected


def test_the_fields_are_written_as_the_draft_says() -> None:
    standing = Standing(Rule("requests", 10.0, 100.0), level=42.7)
    debt = Standing(Rule("chars", 100.0, 1000.0), level=-50.0)
    assert fields([standing, debt]) == [
        (b"ratelimit-policy", b'"requests";q=100;w=10, "chars";q=1000;w=10'),
        (b"ratelimit", b'"requests";r=42;t=6, "chars";r=0;t=11'),
    ]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis that a test may break."""
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        yield server


def _in(redis: RedisServer, settings: GatewaySettings, **more: Any) -> GatewaySettings:
    return _limited(settings, limit_requests_per_s=_PER_S, redis_url=SecretStr(redis.url), **more)


async def test_two_gateways_grant_one_limit_together(
    settings: GatewaySettings, serve: Serve, redis: RedisServer
) -> None:
    async with serve(_in(redis, settings)) as one, serve(_in(redis, settings)) as two:
        answers = [await http.post(_URL, json=_TEXT) for http in (one, two, one, two)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


@pytest.mark.parametrize(("fail_open", "status"), [(True, 200), (False, 503)])
async def test_without_redis_requests_pass_or_not_as_the_settings_say(
    settings: GatewaySettings, serve: Serve, redis: RedisServer, fail_open: bool, status: int
) -> None:
    limited = _in(redis, settings, limits_fail_open=fail_open, limit_concurrent=1)
    async with serve(limited) as http:
        assert (await http.post(_URL, json=_TEXT)).status_code == 200
        redis.kill()
        answers = [await http.post(_URL, json=_TEXT) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [status] * 5
        assert (await http.get("/healthz")).status_code == 200
        if not fail_open:
            assert answers[0].json()["reason"] == "LIMITS_UNAVAILABLE"
            assert answers[0].headers["retry-after"] == "1"
