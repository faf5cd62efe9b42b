"""Secrets stay out of logs, answers and settings; the gateway runs as a process of its own."""

import asyncio
import json
import signal
import ssl
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest

from gateway.settings import GatewaySettings
from tests.certificates import Authority
from tests.gateway.keys_file import KeysFile
from tests.gateway.polling import until
from tests.gateway.redis_server import PASSWORD, RedisServer
from tests.gateway.scripted_inference import ScriptedInference

_WRONG = "nerve_wrongwrongwrongwrongwrongwrongwrong"
_TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJodXNoIn0.c2lnbmF0dXJl"
_LIMIT_S = 60


async def test_no_secret_is_logged_or_answered_whatever_is_sent(
    inference: ScriptedInference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything on: keys, HTTPS, Redis, a token for the inference service; at level debug."""
    keys = KeysFile(tmp_path)
    good = keys.add("team-a")
    secret = good["authorization"].removeprefix("Bearer ")
    authority = Authority(tmp_path, "ours")
    served = authority.issue("gateway")
    own_token = tmp_path / "token"
    own_token.write_text("nerve_hush-own-token")
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as redis:
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "INFERENCE_TARGET": f"dns:///127.0.0.1:{inference.port}",
            "LOG_LEVEL": "debug",
            "KEYS_FILE": str(keys.path),
            "TLS_CERT_FILE": str(served.certificate),
            "TLS_KEY_FILE": str(served.key),
            "INFERENCE_TOKEN_FILE": str(own_token),
            "REDIS_URL": redis.url,
            "LIMIT_REQUESTS_PER_S": "1000",
        }.items():
            monkeypatch.setenv(f"GATEWAY_{name}", value)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", stdout=PIPE, stderr=PIPE
        )
        lines: list[bytes] = []
        try:
            async with asyncio.timeout(_LIMIT_S):
                assert process.stderr is not None
                while b"gateway_listening" not in (line := await process.stderr.readline()):
                    lines.append(line)
                port = json.loads(line)["port"]
                answers = await _attack(port, authority, good, keys, redis)
        finally:
            process.send_signal(signal.SIGTERM)
            _, rest = await process.communicate()
    said = b"".join([*lines, line, rest, *answers]).decode()
    for hushed in (secret, _WRONG, _TOKEN, PASSWORD, "hush", "PRIVATE KEY"):
        assert hushed not in said
    assert '"key": "team-a"' in said, "the id is what the log names a caller by"
    assert "UNAUTHENTICATED" in said
    assert "files_refused" in said
    assert "limits_store_away" in said
    assert process.returncode == 0


async def _attack(
    port: int, authority: Authority, good: dict[str, str], keys: KeysFile, redis: RedisServer
) -> list[bytes]:
    """Show keys, right and wrong, in every place; break what can be broken. Gives the answers."""
    tls = ssl.create_default_context(cafile=authority.file)
    answers: list[bytes] = []
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{port}", verify=tls, trust_env=False
    ) as http:
        for header in (
            good,
            {"authorization": f"Bearer {_WRONG}"},
            {"authorization": f"Bearer {_TOKEN}"},
            {"authorization": f"Basic {_WRONG}"},
            {"x-api-key": _WRONG},
            {**good, "x-api-key": _WRONG},
            {**good, "x-request-id": f"id {_WRONG}"},
            {**good, "x-request-timeout-ms": _WRONG},
        ):
            for path in ("/v1/entities", f"/{_WRONG}", f"/v1/models/{_WRONG}?key={_WRONG}"):
                answer = await http.post(path, json={"text": "Tim"}, headers=header)
                answers.append(answer.content + str(answer.headers).encode())
        redis.kill()
        answers.append((await http.post("/v1/entities", json={"text": "T"}, headers=good)).content)
        keys.path.write_text('[[keys]]\nid = "hush"\nsha256 = "hush"\n')
        await asyncio.sleep(1.1)
        answers.append((await http.get("/v1/models", headers=good)).content)
    return answers


def test_settings_show_no_secret() -> None:
    settings = GatewaySettings(redis_url=f"redis://:{PASSWORD}@localhost")
    assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump_json()}"


async def test_a_certificate_is_renewed_under_the_loop_that_serves(
    inference: ScriptedInference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop, which the other tests do without."""
    authority = Authority(tmp_path, "ours")
    served = authority.issue("gateway")
    for name, value in {
        "HOST": "127.0.0.1",
        "PORT": "0",
        "INFERENCE_TARGET": f"dns:///127.0.0.1:{inference.port}",
        "TLS_CERT_FILE": str(served.certificate),
        "TLS_KEY_FILE": str(served.key),
    }.items():
        monkeypatch.setenv(f"GATEWAY_{name}", value)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            assert process.stderr is not None
            while b"gateway_listening" not in (line := await process.stderr.readline()):
                pass
            port = json.loads(line)["port"]
            before = await _serial(port, authority)
            authority.issue("gateway", file="gateway")

            async def renewed() -> bool:
                return await _serial(port, authority) != before

            await until(renewed)
    finally:
        process.kill()
        await process.communicate()


async def _serial(port: int, authority: Authority) -> str:
    tls = ssl.create_default_context(cafile=authority.file)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    serial: str = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return serial
