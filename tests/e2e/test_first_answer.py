"""The README's first screen."""

import json
import shlex
import subprocess
from pathlib import Path

import grpc
import httpx
import pytest

from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub
from tests.e2e.answers import Found, entities
from tests.e2e.stack import WAIT_S, Process

pytestmark = pytest.mark.timeout(120)

_TEXT = "Angela Merkel met Tim Cook of Apple in Seoul."
_FOUND = [
    Found(0, 13, "PER", "Angela Merkel"),
    Found(18, 26, "PER", "Tim Cook"),
    Found(30, 35, "ORG", "Apple"),
    Found(39, 44, "LOC", "Seoul"),
]
# Names that are something else mostly.
_UNSURE = [
    "Send it to Windows and Mercury before Lent.",
    "The Economist met Orange near Turkey Day at Subway.",
    "The Blue Danube cafe at King's Cross served Earl Grey with Marmite.",
    "He drank Guinness in a Ford.",
    "He drives a Lincoln to Ford.",
    "Phoenix rose over Mercury.",
    _TEXT,
]
_MODELS = Path(__file__).parents[2] / "models" / "ner-en"


def test_the_sentence_of_the_readme_is_answered(http: httpx.Client) -> None:
    assert entities(http, _TEXT) == _FOUND


def test_the_command_that_is_announced_works_as_it_is_printed(stack: Process) -> None:
    (line,) = (line for line in stack.out.read_text().splitlines() if "curl" in line)
    ended = subprocess.run(shlex.split(line), capture_output=True, timeout=WAIT_S, check=True)
    answer = json.loads(ended.stdout)
    assert [entity["text"] for entity in answer["entities"]] == [found.text for found in _FOUND]


def test_grpc_answers_the_same(stack: Process) -> None:
    with grpc.insecure_channel(stack.ports.grpc_address) as channel:
        request = pb.RecognizeRequest(texts=[_TEXT])
        response = EntityRecognizerStub(channel).Recognize(request, timeout=WAIT_S)
    (result,) = response.results
    assert [Found(e.start, e.end, e.label, e.text) for e in result.entities.entities] == _FOUND


def test_several_texts_are_answered_in_order_each_on_its_own(http: httpx.Client) -> None:
    answer = http.post("/v1/entities", json={"texts": ["She lives in Paris.", "", _TEXT]}).json()
    first, empty, last = answer["results"]
    assert [entity["text"] for entity in first["entities"]] == ["Paris"]
    assert empty["error"]["reason"] == "TEXT_EMPTY"
    assert [entity["text"] for entity in last["entities"]] == [found.text for found in _FOUND]


def test_options_select_what_is_returned(http: httpx.Client) -> None:
    answer = http.post(
        "/v1/entities", json={"text": _TEXT, "labels": ["LOC"], "min_score": 0.5, "timings": True}
    ).json()
    assert [entity["text"] for entity in answer["entities"]] == ["Seoul"]
    assert answer["timings"]["inference_ns"] > 0


def test_what_is_likelier_wrong_is_returned_only_to_those_who_ask(http: httpx.Client) -> None:
    """The model says from which score on; 0 is a score like any other."""
    (live,) = http.get("/v1/models/ner-en").json()["versions"]
    config = json.loads((_MODELS / live["version"] / "config.json").read_text("utf-8"))
    assert live["min_score"] == config["min_score"]
    found = {}
    for name, options in (("model's", {}), ("all", {"min_score": 0}), ("sure", {"min_score": 0.8})):
        answer = http.post("/v1/entities", json={"texts": _UNSURE, **options}).json()
        found[name] = [e for result in answer["results"] for e in result["entities"]]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in _UNSURE)
        stream = http.post("/v1/entities:stream", content=lines, params=options).text
        streamed = [e for line in stream.splitlines() for e in json.loads(line)["entities"]]
        assert streamed == found[name]
    assert 0.3 <= config["min_score"] <= 0.5
    assert found["model's"] == [e for e in found["all"] if e["score"] >= config["min_score"]]
    assert len(found["all"]) > len(found["model's"]) > len(found["sure"]) > 0


def test_the_models_are_listed(http: httpx.Client) -> None:
    answer = http.get("/v1/models").json()
    assert answer["default_model"] == "ner-en"
    (model,) = answer["models"]
    live = next(version for version in model["versions"] if version["live"])
    assert set(live["labels"]) == {"PER", "ORG", "LOC", "MISC"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_the_operators_pages_answer(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200
