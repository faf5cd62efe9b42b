"""`POST /api`: the classic demo's contract, for pages of any origin."""

import httpx
import pytest

pytestmark = pytest.mark.timeout(120)

_ORIGIN = {"origin": "https://a.page.example"}


def test_the_demo_answers_in_columns(http: httpx.Client) -> None:
    response = http.post("/api", json="I love Paris", headers=_ORIGIN)
    assert response.json() == {"input": "I love Paris ", "output": "O O    B-LOC "}
    assert response.headers["access-control-allow-origin"] == "*"


def test_punctuation_is_dropped_and_entities_go_on(http: httpx.Client) -> None:
    answer = http.post("/api", json="Angela Merkel (of Berlin)!").json()
    assert answer["input"].split() == ["Angela", "Merkel", "of", "Berlin"]
    assert answer["output"].split() == ["B-PER", "I-PER", "O", "B-LOC"]
    assert len(answer["input"]) == len(answer["output"])


def test_a_page_of_another_origin_may_call(http: httpx.Client) -> None:
    """What a browser asks before it sends JSON to another origin."""
    asked = {
        **_ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    response = http.options("/api", headers=asked)
    assert response.status_code in (200, 204)
    assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "content-type" in response.headers["access-control-allow-headers"].lower()


def test_a_page_of_another_origin_can_read_errors(http: httpx.Client) -> None:
    response = http.post("/api", json=7, headers=_ORIGIN)
    assert response.status_code == 422
    assert response.headers["access-control-allow-origin"] == "*"


def test_only_the_demo_is_open_to_other_origins(http: httpx.Client) -> None:
    response = http.post("/v1/entities", json={"text": "Paris"}, headers=_ORIGIN)
    assert "access-control-allow-origin" not in response.headers
