"""Long texts and crowded batches: no entity is lost, and none depends on other callers."""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest

from tests import shipped
from tests.e2e.answers import Found, entities, found
from tests.e2e.sentences import bank
from tests.e2e.stack import WAIT_S, serving

pytestmark = pytest.mark.timeout(120)

_WORDS = 5_000
# The model reads a sentence with its neighbours and with what the text says of its names elsewhere,
# and now and then decides otherwise; measured: F1 of 0.964 between the two, 0.951 where no sentence
# ends. One of the 850 entities lost at each edge of the some 30 windows takes 0.018 from either.
_AGREEMENT = 0.95
_AGREEMENT_WITHOUT_SENTENCES = 0.94
# A tenth of the document holds some 85 entities; measured: 0.93 and more. Chance alone does not
# bring it below 0.8; the loss of a window, with some 28 entities, does.
_AGREEMENT_OF_A_TENTH = 0.8
# A window's place in a batch changes the order of float32 sums, hence the last digits.
_SCORE_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def alone(http: httpx.Client) -> dict[str, list[Found]]:
    """The entities of each sentence when it is sent alone."""
    return {sentence: entities(http, sentence) for sentence in bank()}


def agreement(first: set[Found], second: set[Found]) -> float:
    """F1 of one answer against the other: spans and labels must be equal."""
    return 2 * len(first & second) / (len(first) + len(second))


def document(
    alone: dict[str, list[Found]], separator: str, *, full_stops: bool
) -> tuple[str, set[Found]]:
    """A text of 5,000 words, and the entities that its sentences give alone."""
    chosen = random.Random(7)  # noqa: S311 - any order will do, but the same each time
    text, expected, words = "", set[Found](), 0
    while words < _WORDS:
        sentence = chosen.choice(bank())
        words += len(sentence.split())
        at = len(text)
        expected |= {replace(e, start=e.start + at, end=e.end + at) for e in alone[sentence]}
        text += (sentence if full_stops else sentence.removesuffix(".")) + separator
    return text, expected


@pytest.fixture(scope="module")
def sentence_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the shipped model, told to read a long text sentence by sentence."""
    folder = tmp_path_factory.mktemp("sentences")
    version = folder / "models" / shipped.NAME / shipped.VERSION
    shutil.copytree(shipped.FOLDER, version)
    (version / "manifest.json").unlink()  # it holds the hash of the configuration that ships
    config = json.loads((version / "config.json").read_text())
    alone = {"passage_tokens": 0, "label_consistency": 0}
    (version / "config.json").write_text(json.dumps(config | alone))
    settings = {"INFERENCE_MODELS_DIR": str(folder / "models"), "INFERENCE_MAX_WAIT_MS": "0"}
    with (
        serving(folder, **settings) as process,
        httpx.Client(base_url=process.ports.url, timeout=2 * WAIT_S) as client,
    ):
        yield client


_SEPARATORS = pytest.mark.parametrize("separator", [" ", "\n", "\r\n\r\n"], ids=ascii)


@_SEPARATORS
def test_a_document_read_by_sentences_gives_their_entities(
    sentence_reader: httpx.Client, alone: dict[str, list[Found]], separator: str
) -> None:
    text, expected = document(alone, separator, full_stops=True)
    assert entities(sentence_reader, text) == sorted(expected)


@_SEPARATORS
def test_a_document_read_by_passages_loses_no_part(
    http: httpx.Client, alone: dict[str, list[Found]], separator: str
) -> None:
    """The sentences are strangers to each other: what stands beside them tells nothing."""
    text, expected = document(alone, separator, full_stops=True)
    check_agreement(entities(http, text), text, expected, _AGREEMENT)


def test_a_document_without_sentences_loses_nothing_at_the_edges_of_its_windows(
    http: httpx.Client, alone: dict[str, list[Found]]
) -> None:
    """With semicolons no sentence ends: the windows cannot be sentences and must overlap."""
    text, expected = document(alone, "; ", full_stops=False)
    check_agreement(entities(http, text), text, expected, _AGREEMENT_WITHOUT_SENTENCES)


def check_agreement(got: list[Found], text: str, expected: set[Found], least: float) -> None:
    """Whether a document's entities are about those of its sentences, in each of its parts."""
    assert got == sorted(got)
    assert all(before.end <= after.start for before, after in pairwise(got))
    assert all(text[entity.start : entity.end] == entity.text for entity in got)
    assert agreement(expected, set(got)) >= least
    tenth = len(text) / 10
    for part in range(10):
        of_part = [
            {e for e in side if part <= e.start / tenth < part + 1} for side in (expected, set(got))
        ]
        assert agreement(*of_part) >= _AGREEMENT_OF_A_TENTH, f"tenth {part}"


def test_names_on_lines_that_follow_each_other_stay_apart(http: httpx.Client) -> None:
    """A text that fits is seen whole, and the model sees no line breaks."""
    lines = ["Thanks,", "Phillip", "Mery, this sounds better"]
    in_lines = entities(http, "\n".join(lines))
    assert [(e.text, e.label) for e in in_lines] == [("Phillip", "PER"), ("Mery", "PER")]
    assert [e.text for e in entities(http, " ".join(lines))] == ["Phillip Mery"]


def test_an_answer_does_not_depend_on_what_it_is_batched_with(
    http: httpx.Client, alone: dict[str, list[Found]]
) -> None:
    """Sentences of very different lengths, in one call: each is answered as if it were alone."""
    texts = [sentence * repeats for sentence in bank() for repeats in (1, 3)]
    random.Random(7).shuffle(texts)  # noqa: S311 - as above
    single = [http.post("/v1/entities", json={"text": text}).json()["entities"] for text in texts]
    together = http.post("/v1/entities", json={"texts": texts}).json()["results"]
    for text, one, among in zip(texts, single, together, strict=True):
        assert [found(e) for e in among["entities"]] == [found(e) for e in one], text
        for left, right in zip(one, among["entities"], strict=True):
            assert left["score"] == pytest.approx(right["score"], abs=_SCORE_TOLERANCE)
    assert sum(map(len, alone.values())) > 50, "there is something to compare"


def test_more_than_a_message_of_grpc_holds_by_default_is_answered(http: httpx.Client) -> None:
    """4 MiB; a single text would be over its limit of characters, so there are several."""
    texts = ["Angela Merkel" + " " * 80_000] * 60
    answer = http.post("/v1/entities", json={"texts": texts})
    assert answer.status_code == 200
    found = [[entity["text"] for entity in each["entities"]] for each in answer.json()["results"]]
    assert found == [["Angela Merkel"]] * len(texts)
