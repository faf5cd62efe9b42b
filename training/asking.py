"""Asking: teachers are asked about every text of some sets, and what they say is kept."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from training.answers import Answers, AnswersInvalid, digest_of
from training.checkpoint import load_record, load_tokenizer
from training.conditions import weights_of
from training.data import Answer, Corpus
from training.distillation import Teachers
from training.features import FeatureBasis, feature_layers
from training.network import check_length
from training.recognition import pad
from training.run import TrainingInterrupted, never
from training.training_state import check_conditions

_TOKENS_AT_A_TIME = 4096
_TEXTS_FOR_BASIS = 1500

_Encoded = tuple[str, NDArray[np.int64], list[tuple[int, int]]]  # text, ids, offsets


@dataclass(frozen=True, slots=True)
class Question:
    """What teachers are asked of a text."""

    most_tokens: int  # of it; the rest is cut off, as in training
    unasked: re.Pattern[str] | None = None  # what is said of tokens within a match is not kept
    features: bool = False  # keep what the teacher holds of each token; there must be one alone

    @property
    def conditions(self) -> dict[str, str]:
        """All that an answer depends on, but for the text, the teachers and their precision."""
        return {
            "--most-tokens": str(self.most_tokens),
            "--unasked": self.unasked.pattern if self.unasked else "none",
            "--features": str(self.features),
        }


@dataclass(frozen=True, slots=True)
class Keeping:
    """What was answered before, and how answers are kept while others are still asked for."""

    before: Answers | None = None  # to other texts, or to some of these: not asked again
    keep: Callable[[Answers], None] | None = None  # gets all so far, those of before among them
    seconds: float = 600.0  # between two such times
    interrupted: Callable[[], bool] = never  # asked after each batch


_NOTHING_KEPT = Keeping()


def ask(
    corpora: Sequence[Corpus],
    folders: Sequence[str],
    question: Question,
    *,
    keeping: Keeping = _NOTHING_KEPT,
    bfloat16: bool = False,
    device: str = "cpu",
) -> Answers:
    """Asks teachers about every text.

    Args:
        corpora: the train splits.
        folders: checkpoints of the teachers, all of one vocabulary.
        question: what they are asked.
        keeping: what is kept of the answers before the end.
        bfloat16: multiply in it.
        device: where the teachers are asked.

    Returns:
        The answers, those of before among them.

    Raises:
        AnswersInvalid: features of several teachers at once, or of no tokens, are asked for.
        CheckpointInvalid: a folder is not a checkpoint.
        EncoderInvalid: a teacher reads no texts so long.
        StateInvalid: the answers of before are of other teachers or to another question.
        TrainingInterrupted: someone asked to stop; what was answered is kept.
    """
    if question.features and len(folders) > 1:
        raise AnswersInvalid(
            "features are of one teacher: ask it alone, the others apart, and `mix` their answers"
        )
    teachers = Teachers.load(folders, torch.device(device), bfloat16=bfloat16)
    for network in teachers.networks:
        check_length(network, question.most_tokens)
    tokenizer = load_tokenizer(Path(folders[0]))
    texts = {digest_of(e.text): e.text for corpus in corpora for e in corpus.examples}
    answers = _begun(keeping.before, teachers, folders, question)
    todo = [text for digest, text in texts.items() if digest not in answers.by_digest]
    if question.features and answers.features is None:
        basis = _basis(teachers, todo, tokenizer, question.most_tokens)
        answers = replace(answers, features=basis)
    done, kept_s = len(texts) - len(todo), time.monotonic()
    with tqdm(total=len(texts), initial=done, unit="text", mininterval=5.0) as progress:
        for batch in _batches(todo, tokenizer, question.most_tokens):
            answers.by_digest.update(_ask(teachers, batch, question, answers.features))
            done += len(batch)
            progress.update(len(batch))
            stopped = keeping.interrupted() and done < len(texts)
            if keeping.keep and (stopped or time.monotonic() - kept_s >= keeping.seconds):
                keeping.keep(answers)
                kept_s = time.monotonic()
            if stopped:
                raise TrainingInterrupted(f"{done} of {len(texts)} texts are answered")
    return answers


def _begun(
    before: Answers | None, teachers: Teachers, folders: Sequence[str], question: Question
) -> Answers:
    """The answers of before, or none, as far as they are of the same teachers and question."""
    commands = tuple(load_record(Path(folder)).command for folder in folders)
    conditions = {
        **question.conditions,
        "--teachers": "; ".join(commands),
        "sha256 of the teachers' weights": weights_of(folders),
        "vocabulary": teachers.vocabulary,
    }
    if before is None:
        return Answers(commands, teachers.vocabulary, {}, conditions=conditions)
    check_conditions(before.conditions, conditions)
    return replace(before, by_digest=dict(before.by_digest))


def _ask(
    teachers: Teachers, batch: Sequence[_Encoded], question: Question, basis: FeatureBasis | None
) -> dict[bytes, Answer]:
    ids, mask = _padded(batch)
    rows = _answers(teachers, ids, mask, basis).cpu().numpy().astype(np.float16)
    answers: dict[bytes, Answer] = {}
    for row, (text, row_ids, offsets) in zip(rows, batch, strict=True):
        ends = len(row_ids) - 1
        answers[digest_of(text)] = answer = row[1:ends].copy()
        if question.unasked:
            answer[_within(question.unasked, text, offsets[1:ends])] = 0
    return answers


def _answers(teachers: Teachers, ids: Tensor, mask: Tensor, basis: FeatureBasis | None) -> Tensor:
    if basis is None:
        return teachers.targets(ids, mask)
    targets, hidden_states = teachers.states(ids, mask)
    return torch.cat([targets, basis.project(feature_layers(hidden_states))], -1)


def _basis(
    teachers: Teachers, texts: Sequence[str], tokenizer: Tokenizer, most_tokens: int
) -> FeatureBasis:
    """Found on texts that lie evenly among all."""
    sample = texts[:: max(1, len(texts) // _TEXTS_FOR_BASIS)]
    parts: list[list[Tensor]] = []
    for batch in _batches(sample, tokenizer, most_tokens):
        ids, mask = _padded(batch)
        _, hidden_states = teachers.states(ids, mask)
        inner = mask.bool()
        inner[:, 0] = False  # and the last of each text: special tokens
        inner[torch.arange(len(mask)), mask.sum(-1) - 1] = False
        inner = inner.to(hidden_states[0].device)
        parts.append([layer[inner] for layer in feature_layers(hidden_states)])
    layers = [torch.cat(layer) for layer in zip(*parts, strict=True)]
    if not layers or not len(layers[0]):
        raise AnswersInvalid("features: there is no text to take them from")
    return FeatureBasis.fit(layers)


def _padded(batch: Sequence[_Encoded]) -> tuple[Tensor, Tensor]:
    ids, mask = pad([row for _, row, _ in batch])
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _within(
    pattern: re.Pattern[str], text: str, offsets: Sequence[tuple[int, int]]
) -> NDArray[np.bool_]:
    matched = np.zeros(len(text) + 1, bool)
    for match in pattern.finditer(text):
        matched[match.start() : match.end()] = True
    return np.array([matched[start:end].any() for start, end in offsets], bool)


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
