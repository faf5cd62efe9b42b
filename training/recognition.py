"""The entities of many texts, found in process with the code that serves."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inference import model_config
from inference.core import Entity, TokenizedText
from inference.decoding import Decoder
from inference.json_file import read_object
from inference.runtime import Session
from inference.settings import Settings
from inference.tokenization import Tokenizer

# The service's default: what is measured is what is served, also where a text is cut.
WINDOW_TOKENS: int = Settings.model_fields["window_tokens"].default
# Enough for batches of near-equal length; only their scores are in memory.
_TEXTS_AT_A_TIME = 512


class Scorer(Protocol):
    """Whatever turns token ids into label scores."""

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores int64 [batch, tokens]; returns float32 [batch, tokens, labels]."""
        ...


@dataclass(frozen=True, slots=True)
class Recognizer:
    """A tokenizer, a model and a decoder that belong together."""

    tokenizer: Tokenizer
    scorer: Scorer
    decoder: Decoder

    def recognize(
        self,
        texts: Sequence[str],
        batch_size: int = 32,
        *,
        by_length: bool = True,
        min_score: float | None = None,
    ) -> list[list[Entity]]:
        """Finds the entities of texts.

        Args:
            texts: any number.
            batch_size: most windows in a run; at least 1.
            by_length: batch windows of near-equal length, not in the order of the texts.
            min_score: least score of an entity, in [0, 1]; None: the model's.

        Returns:
            The entities of each text, in order.
        """
        scored = self.score(texts, batch_size, by_length=by_length)
        return [self.decoder.decode(text, logits, min_score=min_score) for text, logits in scored]

    def score(
        self, texts: Sequence[str], batch_size: int = 32, *, by_length: bool = True
    ) -> list[tuple[TokenizedText, list[NDArray[np.float32]]]]:
        """Scores every label for every token of texts.

        Args:
            texts: any number.
            batch_size: most windows in a run; at least 1.
            by_length: batch windows of near-equal length, not in the order of the texts.

        Returns:
            Each text, in order, with float32 [tokens, labels] for each of its windows.
        """
        tokenized = [self.tokenizer.tokenize(text) for text in texts]
        rows = [window.ids for text in tokenized for window in text.windows]
        order = range(len(rows))
        logits: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(rows)
        for chosen in _chunks(
            sorted(order, key=lambda i: len(rows[i])) if by_length else order, batch_size
        ):
            scores = self.scorer.run(*pad([rows[i] for i in chosen]))
            for i, score in zip(chosen, scores, strict=True):
                logits[i] = score[: len(rows[i])]
        rest = iter(logits)
        return [(text, [next(rest) for _ in text.windows]) for text in tokenized]

    def score_each(
        self, texts: Sequence[str], name: str = ""
    ) -> Iterator[tuple[TokenizedText, list[NDArray[np.float32]]]]:
        """Scores as `score` does, a part of the texts at a time, and shows how far it is.

        Args:
            texts: any number.
            name: of what they are, beside the progress.

        Yields:
            Each text, in order, with float32 [tokens, labels] for each of its windows.
        """
        with tqdm(total=len(texts), unit="text", mininterval=5.0, desc=name or None) as progress:
            for first in range(0, len(texts), _TEXTS_AT_A_TIME):
                for scored in self.score(texts[first : first + _TEXTS_AT_A_TIME]):
                    yield scored
                    progress.update()


def load_recognizer(model: Path, window_tokens: int, threads: int) -> Recognizer:
    """Loads an ONNX file with the tokenizer and the labels that lie beside it.

    Args:
        model: the file.
        window_tokens: most tokens in a window, special tokens included, of a model whose
            configuration does not say.
        threads: cores that one run uses.

    Raises:
        ModelInvalid: a file is missing or wrong.
    """
    config = model_config.parse(read_object(model.with_name(model_config.FILE_NAME)))
    return Recognizer(
        Tokenizer.load(
            model.with_name("tokenizer.json"),
            window_tokens,
            joined_words=config.joined_words,
            passage_tokens=config.passage_tokens,
        ),
        Session.load(model, threads, len(config.labels)),
        Decoder(config.labels, config.min_score, config.label_consistency),
    )


def pad(rows: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and mask of one run.

    Args:
        rows: int64 [tokens] each; at least one.

    Returns:
        Two arrays int64 [batch, tokens].
    """
    ids = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def _chunks(order: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (order[i : i + size] for i in range(0, len(order), size))
