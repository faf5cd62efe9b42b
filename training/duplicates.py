"""Texts that are both learned and measured."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from training.data import Corpus, Example


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A training example whose text is also measured."""

    trained: Example
    measured: Example


def find_duplicates(trained: Iterable[Corpus], measured: Iterable[Corpus]) -> list[Duplicate]:
    """The training examples whose text, white space aside, is also measured.

    Args:
        trained: the train splits.
        measured: the dev splits.
    """
    by_letters = {_letters(e.text): e for corpus in measured for e in corpus.examples}
    return [
        Duplicate(example, by_letters[_letters(example.text)])
        for corpus in trained
        for example in corpus.examples
        if _letters(example.text) in by_letters
    ]


def without_texts(corpus: Corpus, texts: Collection[str]) -> Corpus:
    """The corpus without the examples whose text is one of these."""
    kept = [example for example in corpus.examples if example.text not in texts]
    return replace(corpus, examples=kept)


def _letters(text: str) -> str:
    """A text less its white space, which columns put before every full stop."""
    return "".join(text.split())
