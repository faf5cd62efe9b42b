"""Which pages may read answers."""

from pathlib import Path

import httpx
import pytest

from gateway.settings import GatewaySettings
from tests.gateway.conftest import Serve
from tests.gateway.keys_file import KeysFile

_OURS = "https://ours.example"
_THEIRS = "https://theirs.example"
_ALLOWED = "access-control-allow-origin"


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    """Settings that name one origin."""
    return settings.model_copy(update={"cors_origins": (_OURS,)})


def _preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }


@pytest.mark.parametrize("path", ["/v1/entities", "/api", "/v1/models", "/nowhere"])
async def test_only_pages_of_the_list_may_read(http: httpx.AsyncClient, path: str) -> None:
    ours = await http.post(path, json={"text": "Tim"}, headers={"origin": _OURS})
    theirs = await http.post(path, json={"text": "Tim"}, headers={"origin": _THEIRS})
    assert ours.headers[_ALLOWED] == _OURS
    assert _ALLOWED not in theirs.headers
    for answer in (ours, theirs):
        assert answer.headers["vary"] == "origin"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["null", "https://ours.example.evil", "http://ours.example", "https://OURS.example"]
)
async def test_a_similar_origin_is_another(http: httpx.AsyncClient, origin: str) -> None:
    answer = await http.get("/healthz", headers={"origin": origin})
    assert _ALLOWED not in answer.headers


async def test_a_browser_that_asks_first_is_answered_without_a_key(
    settings: GatewaySettings, serve: Serve, tmp_path: Path
) -> None:
    """It sends none with that question; the request that follows needs one."""
    keyed = settings.model_copy(update={"keys_file": KeysFile(tmp_path).path})
    async with serve(keyed) as http:
        asked = await http.options("/v1/entities", headers=_preflight(_OURS))
        assert asked.status_code == 204
        assert asked.headers[_ALLOWED] == _OURS
        assert "authorization" in asked.headers["access-control-allow-headers"]
        stranger = await http.options("/v1/entities", headers=_preflight(_THEIRS))
        assert _ALLOWED not in stranger.headers
        answer = await http.post("/v1/entities", json={}, headers={"origin": _OURS})
        assert answer.status_code == 401
        assert answer.headers[_ALLOWED] == _OURS, "the page may read why"


async def test_any_origin_may_be_named_as_a_star(settings: GatewaySettings, serve: Serve) -> None:
    async with serve(settings.model_copy(update={"cors_origins": ("*",)})) as http:
        answer = await http.get("/v1/models", headers={"origin": _THEIRS})
        assert answer.headers[_ALLOWED] == "*"
