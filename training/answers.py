"""Answers: what teachers think of sentences, asked once and kept.

A large teacher costs more than the step of the student that learns from it. Its answer to a
sentence never changes, so that it can be asked once and learned in as many epochs as are wanted. A
sentence that is changed (other names in it) has no answer: it is learned as it is annotated.

Source: Shen & Xing, A Fast Knowledge Distillation Framework for Visual Recognition (2022).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from training.data import Answer, Corpus, Example
from training.features import FeatureBasis

_DIGEST_BYTES = 16


class AnswersInvalid(Exception):
    """The file holds no answers for this student; the message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Distributions over the labels, for each token of each text that teachers were asked about.

    A row of zeros says nothing of its token. Features of a teacher may follow in each row.
    """

    teachers: tuple[str, ...]  # the commands that trained them
    vocabulary: str  # digest of the tokenizer
    by_digest: dict[bytes, Answer]
    sha256: str = ""  # of each file
    features: FeatureBasis | None = None  # what they were taken by; None: there are none
    # How they were asked: one file holds what was asked alike. Empty: of several files.
    conditions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, first: Path, *more: Path) -> Self:
        """Reads what `write` wrote.

        Args:
            first: a file.
            more: files about other texts, or about the same: the last that knows a text is right.

        Raises:
            FileNotFoundError: a file is missing.
            AnswersInvalid: one is of another kind, or about other tokens than the first.
        """
        together = cls._load(first)
        for path in more:
            part = cls._load(path)
            if part.vocabulary != together.vocabulary:
                raise AnswersInvalid(
                    f"{path}: answers about other tokens than those of {first}: ask teachers of"
                    " one vocabulary"
                )
            together = cls(
                tuple(dict.fromkeys(together.teachers + part.teachers)),
                together.vocabulary,
                together.by_digest | part.by_digest,
                f"{together.sha256} {part.sha256}",
                basis_of([together, part]),
            )
        return together

    @classmethod
    def _load(cls, path: Path) -> Self:
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            digests, lengths, probabilities = (
                tensors[name].numpy() for name in ("digests", "lengths", "probabilities")
            )
        except FileNotFoundError:
            raise
        except (SafetensorError, KeyError, OSError) as error:
            raise AnswersInvalid(f"{path}: no file of answers; `ask` writes one") from error
        parts = np.split(probabilities, np.cumsum(lengths)[:-1])
        return cls(
            tuple(json.loads(about["teachers"])),
            about["vocabulary"],
            {row.tobytes(): part for row, part in zip(digests, parts, strict=True)},
            sha256_of([path]),
            FeatureBasis.of_tensors(tensors),
            json.loads(about.get("conditions", "{}")),
        )

    def write(self, path: Path) -> None:
        """Writes a file; a crash at any time leaves the old one or the new one.

        Args:
            path: the file; its folder is made if it is missing.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        writing = path.with_name(f"{path.name}.writing")
        answers = list(self.by_digest.values())
        width = max(answer.shape[1] for answer in answers)  # some may be without features
        tensors = {
            "digests": np.stack([np.frombuffer(digest, np.uint8) for digest in self.by_digest]),
            "lengths": np.array([len(answer) for answer in answers], np.int32),
            "probabilities": np.concatenate(
                [np.pad(answer, ((0, 0), (0, width - answer.shape[1]))) for answer in answers]
            ),
        }
        save_file(
            {name: torch.from_numpy(array) for name, array in tensors.items()}
            | (self.features.tensors() if self.features else {}),
            writing,
            metadata={
                "teachers": json.dumps(self.teachers),
                "vocabulary": self.vocabulary,
                "conditions": json.dumps(dict(self.conditions)),
            },
        )
        with writing.open("rb") as file:
            os.fsync(file.fileno())
        writing.replace(path)

    def beside(self, corpora: Sequence[Corpus]) -> list[Corpus]:
        """The corpora, each text with what the teachers think of it if they were asked."""
        return [
            replace(corpus, examples=[self._answered(example) for example in corpus.examples])
            for corpus in corpora
        ]

    def _answered(self, example: Example) -> Example:
        answer = self.by_digest.get(digest_of(example.text))
        return example if answer is None else replace(example, answers=((0, answer),))


def basis_of(parts: Sequence[Answers]) -> FeatureBasis | None:
    """What all features of files were taken by; None: there are none.

    Args:
        parts: the files.

    Raises:
        AnswersInvalid: there are several.
    """
    known = {part.features.digest: part.features for part in parts if part.features}
    if len(known) > 1:
        raise AnswersInvalid(
            "features of several askings mean unlike things: ask one teacher about all sentences,"
            " with --features into one file; --resume adds sentences to it"
        )
    return next(iter(known.values()), None)


def sha256_of(paths: Iterable[Path]) -> str:
    """Names what is in files of answers, in their order; empty: there are none.

    Args:
        paths: the files.

    Raises:
        FileNotFoundError: one is missing.
    """
    return " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def digest_of(text: str) -> bytes:
    """What a text's answer is found by.

    Args:
        text: as it was asked about.
    """
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
