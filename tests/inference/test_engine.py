"""One request, from texts to entities."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.batch_queue import BatchQueue
from inference.batcher import Batcher
from inference.core import Entity, OffsetUnit, RecognizeAnswer, RecognizeQuery, TokenizedText
from inference.engine import Engine, Limits
from inference.errors import (
    DeadlineExceeded,
    QueueFull,
    Reason,
    RecognitionError,
    TextRejected,
)
from inference.metrics import Metrics
from inference.repository import Model, Repository, VersionState
from inference.tokenization import Tokenizer
from tests.inference.test_batcher import GatedSession
from tests.tiny_model import rust_tokenizer

LIMITS = Limits(max_texts=4, max_text_chars=5_000, max_call_tokens=4_000)


class GatedModel(GatedSession):
    """The tiny model behind a gate."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._session = model.session

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        super().run(ids, mask)
        return self._session.run(ids, mask)


@pytest.fixture
def gate(model: Model) -> GatedModel:
    """Closes and opens the way to the model."""
    return GatedModel(model)


@pytest.fixture
async def engine(model: Model, gate: GatedModel) -> AsyncIterator[Engine]:
    """An engine with one worker and a small queue."""
    gated = Model("tiny", "1", model.tokenizer, gate, model.decoder)
    repository = Repository([VersionState("tiny", "1", live=True, model=gated)], "tiny")
    batcher = Batcher(BatchQueue(256, LIMITS.max_call_tokens), 1, Metrics())
    batcher.start()
    engine = Engine(repository, batcher, LIMITS)
    yield engine
    gate.gate.set()
    await asyncio.to_thread(batcher.close)
    engine.close()


async def recognize(engine: Engine, *texts: str, **options: object) -> RecognizeAnswer:
    """Asks and waits at most ten seconds."""
    query = RecognizeQuery(list(texts), **options)  # type: ignore[arg-type]
    return await asyncio.wait_for(engine.recognize(query), 10)


def labels(result: list[Entity] | TextRejected) -> list[tuple[str, str]]:
    """Label and text of each entity of a text that was answered."""
    assert not isinstance(result, TextRejected)
    return [(entity.label, entity.text) for entity in result]


async def test_texts_in_entities_out_in_order(engine: Engine) -> None:
    answer = await recognize(engine, "Angela Merkel visited Seoul.", "Tim Cook of Apple")
    assert (answer.model, answer.version) == ("tiny", "1")
    assert labels(answer.results[0]) == [("PER", "Angela Merkel"), ("LOC", "Seoul")]
    assert labels(answer.results[1]) == [("PER", "Tim Cook"), ("ORG", "Apple")]


async def test_a_bad_text_leaves_its_neighbours_answered(engine: Engine) -> None:
    answer = await recognize(engine, "", "in Paris", "x" * 5_001, " ")
    empty, paris, too_long, blank = answer.results
    assert isinstance(empty, TextRejected)
    assert empty.reason == Reason.TEXT_EMPTY
    assert labels(paris) == [("LOC", "Paris")]
    assert isinstance(too_long, TextRejected)
    assert too_long.reason == Reason.TEXT_TOO_LONG
    assert labels(blank) == []


async def test_a_long_text_loses_nothing(engine: Engine) -> None:
    text = "Angela Merkel met Tim Cook in Paris, " * 60
    (result,) = (await recognize(engine, text)).results
    assert labels(result) == [("PER", "Angela Merkel"), ("PER", "Tim Cook"), ("LOC", "Paris")] * 60
    assert isinstance(result, list)
    assert all(text[e.start : e.end] == e.text for e in result)


@pytest.mark.parametrize("unit", OffsetUnit)
async def test_offsets_come_in_the_unit_asked_for(engine: Engine, unit: OffsetUnit) -> None:
    answer = await recognize(engine, "\U0001f600 Paris", offset_unit=unit)
    (result,) = answer.results
    assert isinstance(result, list)
    expected = {OffsetUnit.CODEPOINT: 2, OffsetUnit.UTF16: 3, OffsetUnit.BYTE: 5}
    assert result[0].start == expected[unit]


async def test_labels_and_scores_select(engine: Engine) -> None:
    text = "Tim of Apple"
    answer = await recognize(engine, text, labels=frozenset({"ORG"}))
    assert labels(answer.results[0]) == [("ORG", "Apple")]
    answer = await recognize(engine, text, min_score=1.0)
    assert labels(answer.results[0]) == []


@pytest.mark.parametrize(
    ("texts", "options", "reason"),
    [
        ([], {}, Reason.NO_TEXTS),
        (["a"] * 5, {}, Reason.TOO_MANY_TEXTS),
        (["a"], {"model": "none"}, Reason.MODEL_NOT_FOUND),
        (["a"], {"version": "9"}, Reason.VERSION_NOT_FOUND),
        (["a"], {"labels": frozenset({"CAT"})}, Reason.LABEL_UNKNOWN),
        (["a"], {"min_score": 1.5}, Reason.OPTION_INVALID),
        (["a"], {"min_score": float("nan")}, Reason.OPTION_INVALID),
        (["a " * 2_000] * 2, {}, Reason.TEXT_TOO_LONG),
    ],
)
async def test_a_call_that_cannot_be_answered_is_refused_with_its_reason(
    engine: Engine, texts: list[str], options: dict[str, object], reason: Reason
) -> None:
    with pytest.raises(RecognitionError) as caught:
        await recognize(engine, *texts, **options)
    assert caught.value.reason == reason


async def test_a_call_that_is_cancelled_frees_its_place(engine: Engine, gate: GatedModel) -> None:
    gate.gate.clear()
    running = asyncio.create_task(recognize(engine, "Paris"))
    await asyncio.to_thread(gate.entered.wait, 10)
    big = asyncio.create_task(recognize(engine, "a " * 2_000))
    await _until_refused(engine)
    big.cancel()
    await asyncio.gather(big, return_exceptions=True)
    # As large as the one that left: it fits only where that one stood.
    kept = asyncio.create_task(recognize(engine, "a " * 2_000))
    await asyncio.wait([kept], timeout=0.05)
    gate.gate.set()
    assert labels((await running).results[0]) == [("LOC", "Paris")]
    assert labels((await kept).results[0]) == []


async def test_a_short_text_does_not_wait_for_a_long_document(
    engine: Engine, gate: GatedModel
) -> None:
    ended: list[str] = []
    gate.gate.clear()
    running = asyncio.create_task(recognize(engine, "Paris"))
    await asyncio.to_thread(gate.entered.wait, 10)
    calls = []
    for name, text in (("document", "a " * 990), ("short", "Seoul")):
        calls.append(asyncio.create_task(recognize(engine, text)))
        calls[-1].add_done_callback(partial(_note, ended, name))
        await asyncio.wait([calls[-1]], timeout=0.05)
    gate.gate.set()
    await asyncio.gather(running, *calls)
    assert ended == ["short", "document"]


async def test_a_call_is_told_of_when_it_waits_and_is_refused_no_more(
    engine: Engine, gate: GatedModel
) -> None:
    gate.gate.clear()
    queued = asyncio.Event()
    call = asyncio.create_task(engine.recognize(RecognizeQuery(["Paris"]), on_queued=queued.set))
    await asyncio.wait_for(queued.wait(), 10)
    assert not call.done()
    gate.gate.set()
    assert labels((await call).results[0]) == [("LOC", "Paris")]


class SlowTokenizer(Tokenizer):
    """The tiny model's, which reads long texts when it may."""

    may_read = threading.Event()

    def tokenize(self, text: str) -> TokenizedText:
        assert len(text) < 1_000 or self.may_read.wait(10)
        return super().tokenize(text)


async def test_a_long_document_is_refused_where_too_many_wait_to_be_read(model: Model) -> None:
    tokenizer = SlowTokenizer(rust_tokenizer(), 128)
    slow = Model("tiny", "1", tokenizer, model.session, model.decoder)
    repository = Repository([VersionState("tiny", "1", live=True, model=slow)], "tiny")
    batcher = Batcher(BatchQueue(256, LIMITS.max_call_tokens), 1, Metrics())
    batcher.start()
    engine = Engine(repository, batcher, LIMITS)
    documents = ["Paris " * 800] * LIMITS.max_texts
    reading = asyncio.create_task(recognize(engine, *documents))
    await asyncio.wait([reading], timeout=0.05)
    with pytest.raises(QueueFull):
        await recognize(engine, *documents)
    assert labels((await recognize(engine, "Seoul")).results[0]) == [("LOC", "Seoul")]
    tokenizer.may_read.set()
    assert all(len(labels(result)) > 1 for result in (await reading).results)
    assert all(len(labels(result)) > 1 for result in (await recognize(engine, *documents)).results)
    await asyncio.to_thread(batcher.close)
    engine.close()


def _note(ended: list[str], name: str, _: object) -> None:
    ended.append(name)


async def _until_refused(engine: Engine) -> None:
    """Waits until a large call does not fit beside the one that waits."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        probe = asyncio.create_task(recognize(engine, "a " * 2_000))
        done, _ = await asyncio.wait([probe], timeout=0.05)
        if done:
            assert isinstance(probe.exception(), QueueFull)
            return
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
    pytest.fail("the queue never filled")


async def test_the_deadline_ends_a_call_that_waits(engine: Engine, gate: GatedModel) -> None:
    gate.gate.clear()
    running = asyncio.create_task(recognize(engine, "Paris"))
    await asyncio.to_thread(gate.entered.wait, 10)
    with pytest.raises(DeadlineExceeded):
        await engine.recognize(RecognizeQuery(["Seoul"]), time.monotonic_ns() + 20_000_000)
    gate.gate.set()
    await running
    assert gate.batches == [1]


async def test_timings_say_where_the_time_went(engine: Engine) -> None:
    timings = (await recognize(engine, "Paris")).timings
    assert min(timings.tokenize_ns, timings.queue_ns, timings.decode_ns) > 0
    assert timings.inference_ns > 0
