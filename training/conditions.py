"""Conditions: what a run comes to depends on, beside its settings and the code."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from training.checkpoint import weights_sha256
from training.data import Corpus
from training.recipe import Recipe


def conditions(
    recipe: Recipe,
    beginning_sha256: str,
    answers_sha256: str,
    corpora: Sequence[Corpus],
    dev: Sequence[Corpus],
) -> dict[str, str]:
    """Names the content of all that a run reads: paths stay the same when files change.

    Args:
        recipe: names the teachers.
        beginning_sha256: of the weights that it begins with.
        answers_sha256: of the files of answers; empty: there are none.
        corpora: what it learns.
        dev: what it measures.

    Raises:
        FileNotFoundError: a teacher has no weights.
    """
    return {
        "sha256 of the weights at the beginning": beginning_sha256,
        "sha256 of the teachers' weights": weights_of(recipe.teachers) or "none",
        "sha256 of the answers": answers_sha256 or "none",
        **{f"train split of {corpus.source.name}": _content(corpus) for corpus in corpora},
        **{f"dev split of {corpus.source.name}": _content(corpus) for corpus in dev},
    }


def weights_of(folders: Iterable[str]) -> str:
    """Names the weights of checkpoints, in their order; empty: there are none.

    Args:
        folders: the checkpoints.

    Raises:
        FileNotFoundError: one has no weights.
    """
    return " ".join(weights_sha256(Path(folder)) for folder in folders)


def _content(corpus: Corpus) -> str:
    """Names what is learned or measured of a split: the file, and how its labels are read."""
    content = hashlib.sha256()
    for example in corpus.examples:
        content.update(repr((example.text, example.spans)).encode())
        content.update(repr(sorted(example.unlabelled_types)).encode())
    count, read = len(corpus.examples), content.hexdigest()
    return f"{count} examples of {corpus.sha256}, read as {read}"
