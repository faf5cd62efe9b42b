"""Answers: what teachers think of sentences, asked once and kept.

A large teacher costs more than the step of the student that learns from it. Its answer to a
sentence never changes, so that it can be asked once and learned in as many epochs as are wanted. A
sentence that is changed (other names in it) has no answer: it is learned as it is annotated.
Teachers that were asked apart are mixed afterwards, each with a weight of its own.

Source: Shen & Xing, A Fast Knowledge Distillation Framework for Visual Recognition (2022).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tqdm import tqdm

from training.checkpoint import load_record, load_tokenizer
from training.data import Answer, Corpus, Example
from training.distillation import Teachers
from training.network import check_length
from training.recognition import pad

_DIGEST_BYTES = 16
_TOKENS_AT_A_TIME = 4096


class AnswersInvalid(Exception):
    """The file holds no answers for this student; the message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Distributions over the labels, for each token of each text that teachers were asked about.

    A row of zeros says nothing of its token.
    """

    teachers: tuple[str, ...]  # the commands that trained them
    vocabulary: str  # digest of the tokenizer
    by_digest: dict[bytes, Answer]
    sha256: str = ""  # of each file

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
            )
        return together

    @classmethod
    def _load(cls, path: Path) -> Self:
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                digests, lengths, probabilities = (
                    file.get_tensor(name).numpy()
                    for name in ("digests", "lengths", "probabilities")
                )
        except SafetensorError as error:
            raise AnswersInvalid(f"{path}: no file of answers; `ask` writes one") from error
        parts = np.split(probabilities, np.cumsum(lengths)[:-1])
        return cls(
            tuple(json.loads(about["teachers"])),
            about["vocabulary"],
            {row.tobytes(): part for row, part in zip(digests, parts, strict=True)},
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )

    def write(self, path: Path) -> None:
        """Writes a file.

        Args:
            path: the file; its folder is made if it is missing.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        answers = list(self.by_digest.values())
        tensors = {
            "digests": np.stack([np.frombuffer(digest, np.uint8) for digest in self.by_digest]),
            "lengths": np.array([len(answer) for answer in answers], np.int32),
            "probabilities": np.concatenate(answers),
        }
        save_file(
            {name: torch.from_numpy(array) for name, array in tensors.items()},
            path,
            metadata={"teachers": json.dumps(self.teachers), "vocabulary": self.vocabulary},
        )

    def beside(self, corpora: Sequence[Corpus]) -> list[Corpus]:
        """The corpora, each text with what the teachers think of it if they were asked."""
        return [
            replace(corpus, examples=[self._answered(example) for example in corpus.examples])
            for corpus in corpora
        ]

    def _answered(self, example: Example) -> Example:
        answer = self.by_digest.get(_digest(example.text))
        return example if answer is None else replace(example, answers=((0, answer),))


def ask(
    corpora: Sequence[Corpus],
    folders: Sequence[str],
    *,
    most_tokens: int,
    unasked: re.Pattern[str] | None = None,
    bfloat16: bool = False,
    device: str = "cpu",
) -> Answers:
    """Asks teachers about every text.

    Args:
        corpora: the train splits.
        folders: checkpoints of the teachers, all of one vocabulary.
        most_tokens: of a text; the rest is cut off, as in training.
        unasked: what the teachers say of tokens within its matches is not kept.
        bfloat16: multiply in it.
        device: where the teachers are asked.

    Raises:
        CheckpointInvalid: a folder is not a checkpoint.
        EncoderInvalid: a teacher reads no texts so long.
    """
    teachers = Teachers.load(folders, torch.device(device), bfloat16=bfloat16)
    for network in teachers.networks:
        check_length(network, most_tokens)
    tokenizer = load_tokenizer(Path(folders[0]))
    texts = list(dict.fromkeys(e.text for corpus in corpora for e in corpus.examples))
    by_digest: dict[bytes, Answer] = {}
    with tqdm(total=len(texts), unit="text", mininterval=5.0) as progress:
        for batch in _batches(texts, tokenizer, most_tokens):
            ids, mask = map(torch.from_numpy, pad([row for _, row, _ in batch]))
            rows = teachers.targets(ids, mask).cpu().numpy().astype(np.float16)
            for row, (text, row_ids, offsets) in zip(rows, batch, strict=True):
                ends = len(row_ids) - 1
                by_digest[_digest(text)] = answer = row[1:ends].copy()
                if unasked:
                    answer[_within(unasked, text, offsets[1:ends])] = 0
            progress.update(len(batch))
    return Answers(
        tuple(load_record(Path(folder)).command for folder in folders),
        teachers.vocabulary,
        by_digest,
    )


def mix(parts: Sequence[Answers], weights: Sequence[float]) -> Answers:
    """The weighted mean of what teachers answered apart.

    Of a token that some say nothing of, the mean is of the others.

    Args:
        parts: answers, of one vocabulary; at least one.
        weights: of each; only their ratios matter.

    Raises:
        AnswersInvalid: they are about other tokens, or there is not one positive weight for each.
    """
    if len(weights) != len(parts) or not all(0 < w < float("inf") for w in weights):
        raise AnswersInvalid(
            f"{len(weights)} weights for {len(parts)} files of answers: give one number above 0"
            " for each"
        )
    if any(part.vocabulary != parts[0].vocabulary for part in parts):
        raise AnswersInvalid("answers about unlike tokens: mix those of teachers of one vocabulary")
    digests = reduce(or_, (dict.fromkeys(part.by_digest) for part in parts))
    teachers = [
        f"{weight:g} of {teacher}"
        for part, weight in zip(parts, weights, strict=True)
        for teacher in part.teachers
    ]
    return Answers(
        tuple(teachers),
        parts[0].vocabulary,
        {
            digest: _mean(
                [
                    (part.by_digest[digest], weight)
                    for part, weight in zip(parts, weights, strict=True)
                    if digest in part.by_digest
                ]
            )
            for digest in digests
        },
    )


def _mean(weighed: Sequence[tuple[Answer, float]]) -> Answer:
    if len({len(answer) for answer, _ in weighed}) > 1:
        raise AnswersInvalid(
            "answers to a text were cut at unlike lengths: ask all teachers with the same"
            " --most-tokens"
        )
    total = sum(weight * answer.astype(np.float32) for answer, weight in weighed)
    said = np.sum(total, axis=-1, keepdims=True)
    mean: Answer = np.divide(total, said, out=np.zeros_like(total), where=said > 0).astype(
        np.float16
    )
    return mean


def _within(
    pattern: re.Pattern[str], text: str, offsets: Sequence[tuple[int, int]]
) -> NDArray[np.bool_]:
    matched = np.zeros(len(text) + 1, bool)
    for match in pattern.finditer(text):
        matched[match.start() : match.end()] = True
    return np.array([matched[start:end].any() for start, end in offsets], bool)


_Encoded = tuple[str, NDArray[np.int64], list[tuple[int, int]]]


def _batches(
    texts: Sequence[str], tokenizer: Tokenizer, most_tokens: int
) -> Iterator[list[_Encoded]]:
    encoded = [
        (text, np.array(encoding.ids[:most_tokens], np.int64), encoding.offsets)
        for text, encoding in zip(texts, tokenizer.encode_batch(list(texts)), strict=True)
    ]
    batch: list[_Encoded] = []
    for entry in sorted(encoded, key=lambda entry: len(entry[1]), reverse=True):
        if batch and (len(batch) + 1) * len(batch[0][1]) > _TOKENS_AT_A_TIME:
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
