"""Each wrong request has its own status, reason and message, and hears nothing of its text."""

from dataclasses import dataclass, field

import httpx
import pytest

from tests.e2e.stack import Process, until

pytestmark = pytest.mark.timeout(120)

_MARKER = "Xanthippe-7391"
_JSON = {"content-type": "application/json"}
_ENTITIES = "/v1/entities"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong request and what it must be answered with."""

    status: int
    reason: str
    body: bytes = b""
    path: str = _ENTITIES
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: dict(_JSON))
    told: str = ""  # what the message must name


def _body(rest: str, text: str = _MARKER) -> bytes:
    return f'{{"text": "{text}", {rest}}}'.encode()


_WRONG = {
    "no JSON": Wrong(400, "MALFORMED_JSON", f'{{"text": "{_MARKER}'.encode()),
    "no UTF-8": Wrong(400, "MALFORMED_JSON", b'{"text": "\xff ' + _MARKER.encode() + b'"}'),
    "empty body": Wrong(400, "MALFORMED_JSON"),
    "no object": Wrong(422, "FIELD_INVALID", f'["{_MARKER}"]'.encode()),
    "no text": Wrong(422, "FIELD_INVALID", b"{}", told="text"),
    "text and texts": Wrong(422, "FIELD_INVALID", _body('"texts": ["a"]'), told="texts"),
    "text of wrong type": Wrong(422, "FIELD_INVALID", b'{"text": 7}', told="text"),
    "texts of wrong type": Wrong(
        422, "FIELD_INVALID", f'{{"texts": ["{_MARKER}", 7]}}'.encode(), told="texts.1"
    ),
    "unknown option": Wrong(422, "FIELD_INVALID", _body('"colour": 1'), told="colour"),
    "score out of range": Wrong(422, "FIELD_INVALID", _body('"min_score": 2'), told="min_score"),
    "unknown aggregation": Wrong(
        422, "FIELD_INVALID", _body('"aggregation": "most"'), told="aggregation"
    ),
    "empty text": Wrong(422, "TEXT_EMPTY", b'{"text": ""}'),
    "no texts": Wrong(422, "NO_TEXTS", b'{"texts": []}'),
    "too many texts": Wrong(
        422, "TOO_MANY_TEXTS", b'{"texts": [' + b'"a",' * 256 + b'"a"]}', told="256"
    ),
    "too long a text": Wrong(422, "TEXT_TOO_LONG", _body('"timings": true', _MARKER * 15_000)),
    "unknown label": Wrong(422, "LABEL_UNKNOWN", _body('"labels": ["CAT"]'), told="PER"),
    "unknown model": Wrong(404, "MODEL_NOT_FOUND", _body('"model": "none"'), told="ner-en"),
    "unknown version": Wrong(404, "VERSION_NOT_FOUND", _body('"version": "77"')),
    "path as model": Wrong(404, "MODEL_NOT_FOUND", _body('"model": "../../etc"')),
    "unknown model by name": Wrong(404, "MODEL_NOT_FOUND", path="/v1/models/none", method="GET"),
    "unknown path": Wrong(404, "ROUTE_NOT_FOUND", path="/v1/nothing", method="GET"),
    "slash too many": Wrong(404, "ROUTE_NOT_FOUND", _body('"timings": true'), path="/v1/entities/"),
    "wrong method": Wrong(405, "METHOD_NOT_ALLOWED", method="GET"),
    "body too large": Wrong(413, "BODY_TOO_LARGE", _body('"timings": true', "a" * 9_000_000)),
    "wrong media type": Wrong(
        415, "UNSUPPORTED_MEDIA_TYPE", _MARKER.encode(), headers={"content-type": "text/plain"}
    ),
    "no media type": Wrong(415, "UNSUPPORTED_MEDIA_TYPE", _body('"timings": true'), headers={}),
    "bad deadline": Wrong(
        422,
        "FIELD_INVALID",
        _body('"timings": true'),
        headers={**_JSON, "x-request-timeout-ms": "soon"},
        told="X-Request-Timeout-Ms",
    ),
    "demo: no JSON": Wrong(400, "MALFORMED_JSON", _MARKER.encode(), path="/api"),
    "demo: no string": Wrong(422, "FIELD_INVALID", _body('"a": 1'), path="/api"),
}


@pytest.mark.parametrize("wrong", _WRONG.values(), ids=_WRONG.keys())
def test_a_wrong_request_is_told_what_is_wrong(http: httpx.Client, wrong: Wrong) -> None:
    response = http.request(wrong.method, wrong.path, content=wrong.body, headers=wrong.headers)
    assert response.status_code == wrong.status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["reason"]) == (wrong.status, wrong.reason)
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["detail"]
    assert wrong.told in response.text
    assert _MARKER not in response.text
    assert "Traceback" not in response.text
    assert 'File "' not in response.text


def test_each_wrong_request_has_a_message_of_its_own(http: httpx.Client) -> None:
    """Two reasons that read alike would leave a person guessing."""
    details: dict[str, str] = {}
    for wrong in _WRONG.values():
        response = http.request(wrong.method, wrong.path, content=wrong.body, headers=wrong.headers)
        details.setdefault(response.json()["detail"], wrong.reason)
        assert details[response.json()["detail"]] == wrong.reason


def test_a_deadline_that_passes_is_a_504(http: httpx.Client) -> None:
    response = http.post(
        _ENTITIES,
        json={"text": "Angela Merkel visited Seoul. " * 2_000},
        headers={"x-request-timeout-ms": "1"},
    )
    assert (response.status_code, response.json()["reason"]) == (504, "DEADLINE_EXCEEDED")


def test_a_callers_request_id_comes_back_on_answers_and_errors(http: httpx.Client) -> None:
    for body, status in (({"text": "Paris"}, 200), ({}, 422)):
        response = http.post(_ENTITIES, json=body, headers={"x-request-id": "trace-1"})
        assert (response.status_code, response.headers["x-request-id"]) == (status, "trace-1")


def test_logs_hold_the_requests_but_nothing_of_their_texts(
    http: httpx.Client, stack: Process
) -> None:
    """Texts are personal data; ids and lengths are enough to find a request again."""
    ids = []
    for wrong in _WRONG.values():
        response = http.request(wrong.method, wrong.path, content=wrong.body, headers=wrong.headers)
        ids.append(response.headers["x-request-id"])
    good = http.post(_ENTITIES, json={"texts": [f"{_MARKER} met Angela Merkel.", _MARKER * 50_000]})
    demo = http.post("/api", json=f"I love {_MARKER}")
    assert (good.status_code, demo.status_code) == (200, 200)
    ids += [good.headers["x-request-id"], demo.headers["x-request-id"]]
    # A request is logged once its answer is on its way: the caller may have it before.
    until(lambda: all(request_id in stack.said() for request_id in ids), stack)
    said = stack.said()
    assert _MARKER not in said
    assert "Xanthippe" not in said
    assert "Angela Merkel met Tim Cook" not in stack.err.read_text()
    assert "Traceback" not in said
