"""JSON that is meant to hurt: it is refused, or read in one way only, and never a 500."""

from typing import Any

import httpx
import pytest

from gateway.settings import GatewaySettings
from tests.gateway.scripted_inference import ScriptedInference

_URL = "/v1/entities"
_JSON = {"content-type": "application/json"}
_DEEP = 200_000


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    """Settings with the body limit that is the default."""
    default = GatewaySettings.model_fields["max_body_bytes"].default
    return settings.model_copy(update={"max_body_bytes": default})


@pytest.mark.parametrize(
    "body",
    [
        b"[" * _DEEP,
        b"[" * _DEEP + b"]" * _DEEP,
        b'{"a":' * _DEEP,
        b'{"text":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
        b'{"texts":' + b"[" * _DEEP,
        b'{"text": "Tim"' + b" " * 1_000_000,
        b'{"text": "' + b"\\" * 100_001 + b'"}',
        b'{"text": "\xff\xfe"}',
        b'{"text": "\xc0\xaf"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\\ud800"}',
        b"\xef\xbb\xbf" + b'{"text": "Tim"}',
        b'{"text": "Tim"}{"text": "Tom"}',
        b'{"text": "Tim"} x',
        b'{"text": "Tim",}',
        b"{'text': 'Tim'}",
        b'{"text": "a\nb"}',
        b"\x00",
        b'{"text": "Tim", "min_score": ' + b"9" * 1_000_000 + b"}",
        b'{"text": "Tim", "min_score": 1' + b"e" * 100 + b"}",
    ],
)
@pytest.mark.parametrize("path", [_URL, "/api"])
async def test_what_is_no_json_is_400(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    """However deep, long or broken: the parser stops at 200 levels and at the first fault."""
    answer = await http.post(path, content=body, headers=_JSON)
    assert answer.status_code == 400
    assert answer.json()["reason"] == "MALFORMED_JSON"


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "Tim", "min_score": NaN}',
        b'{"text": "Tim", "min_score": Infinity}',
        b'{"text": "Tim", "min_score": -Infinity}',
        b'{"text": "Tim", "min_score": 1e999}',
        b'{"text": "Tim", "min_score": -1e999}',
        b'{"text": "Tim", "min_score": ' + b"9" * 400 + b"}",
        b'{"text": "Tim", "min_score": "0.5"}',
        b'{"text": "Tim", "min_score": true}',
        b'{"text": "Tim", "__class__": "x", "__proto__": {}}',
        b'{"text": {"$ne": ""}}',
        b'{"texts": [' + b"1," * 1_000_000 + b"1]}",
        b'{"texts": {"0": "Tim"}}',
        b"{" + b",".join(b'"k%d": 1' % n for n in range(100_000)) + b"}",
        b'{"text": "Tim", "model": "' + b"m" * 1000 + b'"}',
        b'{"text": "Tim", "labels": [' + b'"L",' * 1001 + b'"L"]}',
    ],
)
async def test_json_that_does_not_fit_is_422(
    http: httpx.AsyncClient, inference: ScriptedInference, body: bytes
) -> None:
    answer = await http.post(_URL, content=body, headers=_JSON)
    assert answer.status_code == 422
    assert answer.json()["reason"] == "FIELD_INVALID"
    assert len(answer.content) < 10_000
    assert not inference.requests


def _infer(data: bytes) -> bytes:
    return (
        b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ' + data + b"}]}"
    )


_MANY_NUMBERS = b"[" + b"1," * 100_000 + b"1]"
_MANY_NAMES = b"{" + b",".join(b'"%d": []' % n for n in range(100_000)) + b"}"


@pytest.mark.parametrize(
    ("path", "body", "first"),
    [
        ("/models/ner-en", b'{"inputs": ' + _MANY_NUMBERS + b"}", "inputs"),
        ("/v2/models/ner-en/infer", _infer(_MANY_NUMBERS), "inputs.0.data.0"),
        ("/v2/models/ner-en/infer", _infer(b"[" + _MANY_NUMBERS + b"]"), "inputs.0.data.0"),
        (
            "/v2/models/ner-en/infer",
            b'{"inputs": [], "parameters": ' + _MANY_NAMES + b"}",
            "parameters.0",
        ),
        (
            "/v2/repository/models/ner-en/load",
            b'{"parameters": ' + _MANY_NAMES + b"}",
            "parameters.0",
        ),
        (
            "/v2/repository/models/ner-en/unload",
            b'{"parameters": ' + _MANY_NAMES + b"}",
            "parameters.0",
        ),
    ],
)
async def test_values_that_do_not_fit_are_looked_at_up_to_the_first(
    http: httpx.AsyncClient, path: str, body: bytes, first: str
) -> None:
    """Errors take hundreds of bytes each: a body full of them would take all the memory there is.

    So the answer names the first, and does not say that there are more than a thousand.
    """
    answer = await http.post(path, content=body, headers=_JSON)
    assert answer.status_code == 422
    assert f"{first}." in answer.json()["error"]
    assert len(answer.content) < 1000


async def test_a_field_that_comes_twice_counts_as_it_came_last(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    """As in most parsers (RFC 8259, 4), so that whoever looks at it before us sees the same."""
    body = b'{"model": "a", "text": "Tim", "text": "Tom", "model": "b"}'
    assert (await http.post(_URL, content=body, headers=_JSON)).status_code == 200
    assert list(inference.requests[0].texts) == ["Tom"]
    assert inference.requests[0].model == "b"


async def test_more_texts_than_any_service_takes_are_refused_here(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    answer = await http.post(_URL, json={"texts": ["a"] * 10_001})
    assert answer.status_code == 422
    assert not inference.requests
    assert (await http.post(_URL, json={"texts": ["a"] * 10_000})).status_code == 200


async def test_as_many_texts_go_through_the_hubs_path(
    http: httpx.AsyncClient, inference: ScriptedInference
) -> None:
    answer = await http.post("/models/ner-en", json={"inputs": ["a"] * 10_001})
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "FIELD_INVALID"
    assert not inference.requests
    answer = await http.post("/models/ner-en", json={"inputs": ["a"] * 10_000})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-python-pickle",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "",
    ],
)
async def test_nothing_but_json_is_read(http: httpx.AsyncClient, content_type: str) -> None:
    headers: dict[str, Any] = {"content-type": content_type}
    answer = await http.post(_URL, content=b"\x80\x04N.", headers=headers)
    assert answer.status_code == 415


async def test_a_compressed_body_is_not_unpacked(http: httpx.AsyncClient) -> None:
    """So no small body becomes a large one."""
    import gzip

    bomb = gzip.compress(b'{"text": "' + b"a" * 10_000_000 + b'"}')
    answer = await http.post(_URL, content=bomb, headers={**_JSON, "content-encoding": "gzip"})
    assert answer.status_code == 400
