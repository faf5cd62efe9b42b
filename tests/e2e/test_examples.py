"""What OpenAPI and the README show is what the model that ships answers."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.e2e.stack import ROOT

pytestmark = pytest.mark.timeout(120)

# Processors round sums otherwise.
_SCORE_TOLERANCE = 0.02
_README = (ROOT / "README.md").read_text("utf-8")
_OBJECT = re.compile(r'^ {4}(\{"model":.*?\}\]\})$', re.MULTILINE | re.DOTALL)


def _same(answered: object, shown: object) -> bool:
    match answered, shown:
        case dict(), dict():
            return answered.keys() == shown.keys() and all(
                _same(answered[key], shown[key]) for key in shown
            )
        case list(), list():
            return len(answered) == len(shown) and all(map(_same, answered, shown))
        case float(), float():
            return abs(answered - shown) < _SCORE_TOLERANCE
        case str(), str() if shown.startswith("[{"):  # entities, as a string
            return _same(json.loads(answered), json.loads(shown))
        case _:
            return answered == shown


def _examples(content: dict[str, Any]) -> dict[str, Any]:
    """By their names; one that stands alone has none."""
    if "example" in content:
        return {"": content["example"]}
    return {name: example["value"] for name, example in content.get("examples", {}).items()}


def _content(part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    ((media_type, content),) = part["content"].items()
    return media_type, _examples(content)


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_answer_of_openapi_is_given(http: httpx.Client) -> None:
    compared = []
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        url = path.replace("{name}", "ner-en")
        if "get" in methods:
            answers = methods["get"]["responses"]["200"]
            if "content" not in answers:
                continue
            for shown in _content(answers)[1].values():
                answered = http.get(url).json()
                assert _same(answered, shown), (path, answered)
                compared.append(path)
            continue
        operation = methods["post"]
        if "content" not in operation["responses"]["200"]:
            continue
        media_type, requests = _content(operation["requestBody"])
        for name, shown in _content(operation["responses"]["200"])[1].items():
            body, as_lines = requests[name], isinstance(shown, str)
            url = url.replace("{version}", shown["model_version"] if "{version}" in url else "")
            answer = http.post(
                url,
                content=body if as_lines else json.dumps(body),
                headers={"content-type": media_type},
            )
            answered = _lines(answer.text) if as_lines else answer.json()
            assert _same(answered, _lines(shown) if as_lines else shown), (path, name, answered)
            compared.append(path)
    assert len(set(compared)) == 8


def test_the_answers_of_the_readme_are_given(http: httpx.Client) -> None:
    (shown,) = map(json.loads, _OBJECT.findall(_README))
    text = re.search(r"-d '(\{\"text\": .*?\})'", _README)
    assert text is not None
    answered = http.post("/v1/entities", json=json.loads(text[1])).json()
    assert _same(answered, shown), answered
    assert {answered["version"]} == set(re.findall(r'"ner-en", ?"version": ?"([^"]*)"', _README))
