"""One request, from texts to entities.

    admit → tokenize → queue → (a worker runs it) → decode → select and convert

Texts of a call fail one by one; the call fails as a whole only where no text of it could be
answered. If the caller goes away, or the deadline passes, the work that has not begun is dropped.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from inference.batcher import Batcher
from inference.core import (
    Aggregation,
    ClassifyAnswer,
    ClassifyQuery,
    Priority,
    RecognizeAnswer,
    RecognizeQuery,
    Timings,
    TokenizedText,
)
from inference.entry import Entry
from inference.errors import (
    DeadlineExceeded,
    Reason,
    RequestInvalid,
    TextRejected,
)
from inference.long_texts import LongTexts
from inference.model import Model
from inference.pipeline_decoding import PipelineRules
from inference.pipeline_tokenization import PieceTokenizer
from inference.reply import Outcome, Reply, WindowScores
from inference.repository import Repository
from inference.results import classified, recognized
from inference.token_budget import TokenBudget
from inference.tracing import CallSpans
from telemetry import trace_context

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may hold."""

    max_texts: int
    max_text_chars: int  # code points
    max_call_tokens: int  # what the queue holds when it is empty


class Engine:
    """Answers queries with the models of a repository.

    Args:
        repository: the models.
        batcher: runs windows; started and closed by its owner.
        limits: what a call may hold.
        clock_ns: monotonic nanoseconds, the batcher's clock.
        spans: records the stages of calls in traces; None: there are none.
    """

    def __init__(
        self,
        repository: Repository,
        batcher: Batcher,
        limits: Limits,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        spans: CallSpans | None = None,
    ) -> None:
        self._spans = spans
        self.repository = repository
        self._batcher = batcher
        self._limits = limits
        self._clock_ns = clock_ns
        # Told of every answer after it was made; must not wait.
        self.on_answer: Callable[[RecognizeQuery, RecognizeAnswer], None] = _nobody
        self._long_texts = LongTexts()

    def close(self) -> None:
        """Lets the thread of the long texts end."""
        self._long_texts.close()

    async def recognize(
        self,
        query: RecognizeQuery,
        expires_ns: int | None = None,
        on_queued: Callable[[], None] | None = None,
    ) -> RecognizeAnswer:
        """Finds the entities of each text.

        Cancelling it drops what has not begun to run.

        Args:
            query: texts and options.
            expires_ns: the caller's deadline on the engine's clock; none waits for ever.
            on_queued: told once the call waits for a worker, and is refused no more.

        Returns:
            One result per text, in order.

        Raises:
            RecognitionError: no text of the call can be answered.
        """
        lease = await self.repository.lease(query.model, query.version, expires_ns)
        with lease as model:
            answer = await self.answer(model, query, expires_ns, on_queued)
        self.on_answer(query, answer)
        return answer

    async def answer(
        self,
        model: Model,
        query: RecognizeQuery,
        expires_ns: int | None = None,
        on_queued: Callable[[], None] | None = None,
    ) -> RecognizeAnswer:
        """Finds the entities of each text with a model that the caller holds; see `recognize`."""
        _check_options(query, model)
        self._check_texts(query.texts)
        chars = sum(map(len, query.texts))
        ahead = self._long_texts.tokens_ahead(chars)
        self._batcher.check_admission(ahead, model.session, query.priority)

        started_ns = self._clock_ns()
        texts = await self._long_texts.run(
            chars,
            lambda: self._each(query.texts, lambda text, budget: _tokenized(model, text, budget)),
        )
        tokenize_ns = self._clock_ns() - started_ns

        outcomes = await self._run(model, texts, expires_ns, query.priority, on_queued)

        started_ns = self._clock_ns()
        results = await self._long_texts.run(
            chars, lambda: recognized(model, query, texts, outcomes)
        )
        decode_ns = self._clock_ns() - started_ns

        timings = self._timings(tokenize_ns, outcomes, decode_ns)
        return RecognizeAnswer(model.name, model.version, results, timings)

    async def classify(self, query: ClassifyQuery, expires_ns: int | None = None) -> ClassifyAnswer:
        """Classifies the tokens of each text as Hugging Face's pipeline does; else `recognize`."""
        with await self.repository.lease(query.model, query.version, expires_ns) as model:
            return await self._classify(model, query, expires_ns)

    async def check_options(self, query: RecognizeQuery, expires_ns: int | None = None) -> None:
        """Refuses what no text could be answered with.

        Raises:
            RecognitionError: as `recognize` would, whatever the texts.
        """
        with await self.repository.lease(query.model, query.version, expires_ns) as model:
            _check_options(query, model)

    async def _classify(
        self, model: Model, query: ClassifyQuery, expires_ns: int | None
    ) -> ClassifyAnswer:
        reader = PieceTokenizer(model.tokenizer)
        self._check_texts(query.texts)
        reader.check(query.stride)
        if query.stride is not None and query.aggregation is Aggregation.NONE:
            raise RequestInvalid(
                Reason.OPTION_INVALID, "stride needs an aggregation: leave it out, or choose one"
            )
        chars = sum(map(len, query.texts))
        ahead = self._long_texts.tokens_ahead(chars)
        self._batcher.check_admission(ahead, model.session, Priority.INTERACTIVE)

        started_ns = self._clock_ns()
        texts = await self._long_texts.run(
            chars,
            lambda: self._each(
                query.texts, lambda text, budget: reader.tokenize(text, query.stride, budget)
            ),
        )
        tokenize_ns = self._clock_ns() - started_ns

        tokenized = [t if isinstance(t, TextRejected) else t.tokenized for t in texts]
        outcomes = await self._run(model, tokenized, expires_ns, Priority.INTERACTIVE)

        started_ns = self._clock_ns()
        rules = PipelineRules(model.decoder.labels, query.aggregation, query.ignored_labels, reader)
        results = await self._long_texts.run(chars, lambda: classified(texts, outcomes, rules))
        decode_ns = self._clock_ns() - started_ns
        timings = self._timings(tokenize_ns, outcomes, decode_ns)
        return ClassifyAnswer(model.name, model.version, results, timings)

    def _check_texts(self, texts: Sequence[str]) -> None:
        if not texts:
            raise RequestInvalid(Reason.NO_TEXTS, "the call holds no text: send at least one")
        if len(texts) > self._limits.max_texts:
            raise RequestInvalid(
                Reason.TOO_MANY_TEXTS,
                f"{len(texts)} texts in one call: send at most {self._limits.max_texts}",
            )

    def _each(
        self, texts: Sequence[str], tokenize: Callable[[str, TokenBudget], _T]
    ) -> list[_T | TextRejected]:
        """Tokenizes the texts of a call, until it has more tokens than it may have."""
        budget = TokenBudget(self._limits.max_call_tokens)
        return [self._too_long(text) or tokenize(text, budget) for text in texts]

    def _too_long(self, text: str) -> TextRejected | None:
        limit = self._limits.max_text_chars
        if len(text) <= limit:
            return None
        return TextRejected(
            Reason.TEXT_TOO_LONG,
            f"the text has {len(text)} characters: send at most {limit}, or cut it",
        )

    async def _run(
        self,
        model: Model,
        texts: list[TokenizedText | TextRejected],
        expires_ns: int | None,
        priority: Priority,
        on_queued: Callable[[], None] | None = None,
    ) -> list[Outcome]:
        """Queues every window of the call and waits for them; one outcome each, in order."""
        windows = [w for text in texts if isinstance(text, TokenizedText) for w in text.windows]
        if not windows:
            return []
        origin = None if self._spans is None else trace_context.current.get()
        reply = Reply(len(windows), asyncio.get_running_loop(), origin)
        now_ns = self._clock_ns()
        version = f"{model.name}/{model.version}"
        entries = [
            Entry(model.session, window.ids, reply, i, now_ns, expires_ns, priority, version)
            for i, window in enumerate(windows)
        ]
        self._batcher.submit(entries)
        if on_queued is not None:
            on_queued()
        try:
            timeout_s = None if expires_ns is None else max(0, expires_ns - now_ns) / 1e9
            async with asyncio.timeout(timeout_s):
                return await reply.outcomes()
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            if not reply.complete:
                self._batcher.abandon(entries)

    def _timings(self, tokenize_ns: int, outcomes: list[Outcome], decode_ns: int) -> Timings:
        scores = [outcome for outcome in outcomes if isinstance(outcome, WindowScores)]
        timings = Timings(
            tokenize_ns,
            max((s.queue_ns for s in scores), default=0),
            max((s.inference_ns for s in scores), default=0),
            decode_ns,
        )
        if self._spans is not None:
            batches = dict.fromkeys(s.batch for s in scores)
            self._spans.stages(timings, [batch for batch in batches if batch is not None])
        return timings


def _check_options(query: RecognizeQuery, model: Model) -> None:
    if query.min_score is not None and not 0 <= query.min_score <= 1:
        raise RequestInvalid(Reason.OPTION_INVALID, "min_score must be from 0 to 1")
    if query.labels - set(model.decoder.entity_types):
        raise RequestInvalid(
            Reason.LABEL_UNKNOWN,
            f"a label is not one of {model.name}'s: {', '.join(model.decoder.entity_types)}",
        )


def _tokenized(model: Model, text: str, budget: TokenBudget) -> TokenizedText | TextRejected:
    if not text:
        return TextRejected(Reason.TEXT_EMPTY, "the text is empty: send at least one character")
    tokenized = model.tokenizer.tokenize(text)
    budget.take(sum(len(window.ids) for window in tokenized.windows))
    return tokenized


def _nobody(query: RecognizeQuery, answer: RecognizeAnswer) -> None:
    """Nobody is told."""
