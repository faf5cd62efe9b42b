"""Hugging Face's own client, unchanged, against the services."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from transformers import TokenClassificationPipeline

from tests import shipped
from tests.e2e.sentences import bank
from tests.e2e.stack import Process
from tests.inference.hub_pipeline import answer, hub_pipeline
from tests.inference.varied_texts import varied_texts

pytestmark = pytest.mark.timeout(180)

_STRATEGIES = ("none", "simple", "first", "average", "max")
_URL = "/models/ner-en"
_TOKEN = "unused"  # else the client looks for one of the user's
_SCORE_TOLERANCE = 1e-4  # texts that run together differ from one alone by rounding


@pytest.fixture(scope="module")
def pipeline() -> TokenClassificationPipeline:
    """The real pipeline on the same files."""
    return hub_pipeline(shipped.FOLDER)


@pytest.fixture(scope="module")
def hub(stack: Process) -> Iterator[InferenceClient]:
    """A client of the Hub that is sent here."""
    with InferenceClient(model=stack.ports.url + _URL, token=_TOKEN) as client:
        yield client


def _expected(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**group, "score": pytest.approx(float(group["score"]), abs=_SCORE_TOLERANCE)}
        for group in groups
    ]


def _given(elements: list[Any]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in element.items() if value is not None}
        for element in elements
    ]


@pytest.mark.parametrize("strategy", _STRATEGIES)
def test_every_strategy_answers_what_the_pipeline_answers(
    hub: InferenceClient, pipeline: TokenClassificationPipeline, strategy: Any
) -> None:
    for text in (*bank()[:10], *varied_texts(10, 12, seed=len(strategy))):
        for ignored in (None, [], ["PER", "O"]):
            given = hub.token_classification(
                text, aggregation_strategy=strategy, ignore_labels=ignored
            )
            theirs = answer(pipeline, text, aggregation_strategy=strategy, ignore_labels=ignored)
            assert _given(given) == _expected(theirs), repr(text)


def test_without_parameters_tokens_are_grouped_as_at_the_hub(
    hub: InferenceClient, pipeline: TokenClassificationPipeline
) -> None:
    given = hub.token_classification(bank()[0])
    assert [element.entity_group for element in given] == ["PER", "PER", "ORG", "LOC"]
    assert _given(given) == _expected(answer(pipeline, bank()[0], aggregation_strategy="simple"))


def test_a_stride_answers_what_the_pipeline_answers(
    hub: InferenceClient, pipeline: TokenClassificationPipeline
) -> None:
    text = " ".join(bank() * 2)
    for strategy in ("simple", "average"):
        given = hub.token_classification(text, aggregation_strategy=strategy, stride=64)
        theirs = answer(pipeline, text, aggregation_strategy=strategy, stride=64)
        assert _given(given) == _expected(theirs)


def test_several_texts_have_a_list_each(
    http: httpx.Client, pipeline: TokenClassificationPipeline
) -> None:
    texts = [*bank()[:3], "", " "]
    response = http.post(_URL, json={"inputs": texts, "parameters": None, "options": {}})
    theirs = [answer(pipeline, text, aggregation_strategy="simple") for text in texts]
    assert response.json() == [_expected(groups) for groups in theirs]


@pytest.mark.parametrize(
    ("url", "parameters", "status", "says"),
    [
        ("/models/nobody", {}, 404, "served are ner-en"),
        (_URL, {"stride": 4, "aggregation_strategy": "none"}, 422, "stride needs an aggregation"),
        (_URL, {"stride": 9999}, 422, "stride must be from 0 to 509"),
        (_URL, {"stride": -1}, 422, "parameters.stride"),
        (_URL, {"aggregation_strategy": "best"}, 422, "'first', 'simple', 'average', 'max' or"),
    ],
)
def test_the_client_is_told_what_to_change(
    stack: Process, url: str, parameters: dict[str, Any], status: int, says: str
) -> None:
    with (
        InferenceClient(model=stack.ports.url + url, token=_TOKEN) as client,
        pytest.raises(HfHubHTTPError, match=says) as caught,
    ):
        client.token_classification("Angela Merkel", **parameters)
    assert caught.value.response.status_code == status
    assert "Angela" not in str(caught.value)
