"""The engine answers what Hugging Face's own pipeline answers on the shipped model."""

import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from transformers import TokenClassificationPipeline

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.core import Aggregation, ClassifyQuery, TokenGroup
from inference.engine import Engine, Limits
from inference.errors import RequestInvalid, TextRejected
from inference.metrics import Metrics
from inference.repository import Repository
from tests import shipped
from tests.e2e.sentences import bank
from tests.inference.hub_pipeline import answer, hub_pipeline
from tests.inference.varied_texts import varied_texts

pytestmark = pytest.mark.timeout(300)

_STRATEGIES = list(Aggregation)
# The engine runs texts together, the pipeline one by one; a row has integers of its own, so that
# sums differ by rounding only.
_SCORE_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def pipeline() -> TokenClassificationPipeline:
    """The real pipeline."""
    return hub_pipeline(shipped.FOLDER)


@pytest.fixture(scope="module")
def repository() -> Repository:
    """The shipped model, with windows of 128 tokens."""
    return Repository.load(shipped.MODELS, shipped.NAME, 128, threads=1)


@pytest.fixture
async def engine(repository: Repository) -> AsyncIterator[Engine]:
    """An engine with one worker."""
    batcher = Batcher(BatchQueue(256, 1_000_000), 1, Metrics())
    engine = Engine(repository, batcher, Limits(1_000, 200_000, 1_000_000))
    batcher.start()
    yield engine
    batcher.close()
    engine.close()


async def _classify(engine: Engine, texts: Sequence[str], **options: Any) -> list[list[TokenGroup]]:
    results = (await engine.classify(ClassifyQuery(list(texts), **options))).results
    groups = [result for result in results if not isinstance(result, TextRejected)]
    assert len(groups) == len(texts)
    return groups


def _as_pipeline(
    groups: Sequence[TokenGroup], aggregation: Aggregation
) -> Iterator[dict[str, Any]]:
    for group in groups:
        label: dict[str, Any] = {"entity_group": group.label}
        if aggregation is Aggregation.NONE:
            label = {"entity": group.label, "index": group.index}
        score = pytest.approx(group.score, abs=_SCORE_TOLERANCE)
        yield {**label, "score": score, "word": group.word, "start": group.start, "end": group.end}


async def _assert_the_same(
    engine: Engine,
    pipeline: TokenClassificationPipeline,
    texts: Sequence[str],
    aggregation: Aggregation,
    ignored: frozenset[str] = frozenset({"O"}),
    stride: int | None = None,
) -> None:
    ours = await _classify(
        engine, texts, aggregation=aggregation, ignored_labels=ignored, stride=stride
    )
    for text, groups in zip(texts, ours, strict=True):
        parameters = {} if stride is None else {"stride": stride}
        theirs = answer(
            pipeline,
            text,
            aggregation_strategy=aggregation.value,
            ignore_labels=sorted(ignored),
            **parameters,
        )
        assert list(_as_pipeline(groups, aggregation)) == theirs, repr(text)


@pytest.mark.parametrize("aggregation", _STRATEGIES)
async def test_sentences_are_answered_as_by_the_pipeline(
    engine: Engine, pipeline: TokenClassificationPipeline, aggregation: Aggregation
) -> None:
    await _assert_the_same(engine, pipeline, bank(), aggregation)


@pytest.mark.parametrize("aggregation", _STRATEGIES)
async def test_texts_of_any_script_are_answered_as_by_the_pipeline(
    engine: Engine, pipeline: TokenClassificationPipeline, aggregation: Aggregation
) -> None:
    """Emoji, combining marks, unknown words, control characters, with the O groups too."""
    texts = varied_texts(80, 16, seed=int.from_bytes(aggregation.value.encode()))
    await _assert_the_same(engine, pipeline, texts, aggregation, ignored=frozenset())


@pytest.mark.parametrize("aggregation", _STRATEGIES)
async def test_a_text_that_the_model_takes_is_one_sequence(
    engine: Engine, pipeline: TokenClassificationPipeline, aggregation: Aggregation
) -> None:
    """Recognize would read these in windows of 128 tokens."""
    text = " ".join(bank()[:20])
    await _assert_the_same(engine, pipeline, [text], aggregation, ignored=frozenset())


@pytest.mark.parametrize("stride", [0, 1, 50, 128, 400])
@pytest.mark.parametrize("aggregation", [one for one in _STRATEGIES if one is not Aggregation.NONE])
async def test_a_stride_reads_a_long_text_in_the_pipelines_chunks(
    engine: Engine, pipeline: TokenClassificationPipeline, aggregation: Aggregation, stride: int
) -> None:
    texts = [" ".join(bank() * 2), *varied_texts(1, 250, seed=stride), "Short."]
    await _assert_the_same(engine, pipeline, texts, aggregation, stride=stride)


async def test_labels_are_ignored_as_they_stand_in_the_answer(
    engine: Engine, pipeline: TokenClassificationPipeline
) -> None:
    for aggregation in (Aggregation.NONE, Aggregation.SIMPLE):
        for ignored in ({"PER"}, {"B-PER", "I-PER"}, {"LOC", "O"}, {"CAT"}):
            await _assert_the_same(engine, pipeline, bank(), aggregation, frozenset(ignored))


async def test_without_a_stride_nothing_is_cut_off(engine: Engine) -> None:
    """The pipeline would answer for the first 510 tokens."""
    text = " ".join(bank() * 3)
    (groups,) = await _classify(engine, [text], ignored_labels=frozenset({"O"}))
    last = text.rindex("London")
    assert (groups[-1].word, groups[-1].start) == ("London", last)
    assert all(text[group.start : group.end] for group in groups)


async def test_a_text_without_tokens_has_no_groups(
    engine: Engine, pipeline: TokenClassificationPipeline
) -> None:
    texts = ["", " ", "\u200b", "Paris"]
    for aggregation in _STRATEGIES:
        await _assert_the_same(engine, pipeline, texts, aggregation)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stride": 510}, "stride must be from 0 to 509"),
        ({"stride": -1}, "stride must be from 0 to 509"),
        ({"stride": 1, "aggregation": Aggregation.NONE}, "stride needs an aggregation"),
    ],
)
async def test_a_stride_that_cannot_be_is_refused(
    engine: Engine, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestInvalid, match=says):
        await engine.classify(ClassifyQuery(["Paris"], **options))


async def test_a_stride_that_makes_too_many_tokens_is_refused_before_they_are_made(
    engine: Engine,
) -> None:
    """Each token stands in 510 chunks: 200 MB of them from a text of 100 kB."""
    tracemalloc.start()
    with pytest.raises(RequestInvalid, match="more than 1000000 tokens"):
        await engine.classify(ClassifyQuery(["a " * 50_000], stride=509))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 50_000_000
