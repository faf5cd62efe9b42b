"""Silver: what trained models find in bare text, as a set that is learned without them.

Teachers that are asked in every step cost more than the step itself. Asked once, what they are sure
of is a set like any other: it is learned in as many epochs as are wanted, with other names in its
sentences. Where their mean is not sure, of a name or that there is none, the characters are left
open, and the learner is told nothing about them.

Source: self-training as in Yarowsky, Unsupervised Word Sense Disambiguation (1995).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inference.core import Entity, TokenizedText
from inference.decoding import Decoder
from training.checkpoint import load_record, load_tokenizer
from training.data import ENTITY_TYPES, LABELS, Corpus, DataInvalid, Span
from training.data_folder import check_bare
from training.distillation import Teachers
from training.reading import serving_tokenizer
from training.recognition import Recognizer
from training.written_set import OPEN_LABEL, Sentence, write_set_file, write_split

_ABOUT_FILE = "silver.json"
_OUTSIDE = LABELS.index("O")
_LEAST_PROBABILITY = 1e-9  # its logarithm is finite


@dataclass(frozen=True, slots=True)
class TeachersScorer:
    """Runs teachers as one network: the logarithms of their mean."""

    teachers: Teachers

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores every label for every token.

        Args:
            ids: int64 [batch, tokens].
            mask: int64 [batch, tokens], 0 for padding.

        Returns:
            Logarithms of probabilities, float32 [batch, tokens, labels].
        """
        mean = self.teachers.targets(torch.from_numpy(ids), torch.from_numpy(mask))
        logarithms: NDArray[np.float32] = mean.clamp_min(_LEAST_PROBABILITY).log().cpu().numpy()
        return logarithms


def write_silver(
    corpora: Sequence[Corpus],
    folders: Sequence[str],
    into: Path,
    *,
    sure: float,
    bfloat16: bool = False,
    device: str = "cpu",
) -> dict[str, int]:
    """Writes each set of bare text as one that its teachers have labelled.

    Args:
        corpora: the train splits.
        folders: checkpoints of the teachers, all of one vocabulary.
        into: gets a folder for each set, with train.jsonl, set.json and who labelled it.
        sure: least probability of what is labelled, in (0, 1].
        bfloat16: multiply in it.
        device: where the teachers are asked.

    Returns:
        Names in each set.

    Raises:
        CheckpointInvalid: a folder is not a checkpoint.
        DataInvalid: a set has labels already, or would be written over one that people labelled.
    """
    check_bare(corpus.source for corpus in corpora)
    for corpus in corpora:
        folder = into / corpus.source.name
        if folder.exists() and not (folder / _ABOUT_FILE).exists():
            raise DataInvalid(
                f"{folder}: a set that no teachers have labelled stands there, and would be"
                " written over: name another folder with --into"
            )
    teachers = Teachers.load(folders, torch.device(device), bfloat16=bfloat16)
    recognizer = Recognizer(
        serving_tokenizer(load_tokenizer(Path(folders[0])), teachers.networks[0]),
        TeachersScorer(teachers),
        Decoder(LABELS),
    )
    by = {"teachers": [load_record(Path(folder)).command for folder in folders], "sure": sure}
    counts = {}
    for corpus in corpora:
        folder = into / corpus.source.name
        sentences = list(_labelled(corpus, recognizer, sure))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ABOUT_FILE).write_text(json.dumps(by, indent=2) + "\n", "utf-8")
        write_split(folder / "train.jsonl", sentences)
        write_set_file(folder, _about(corpus))
        counts[corpus.source.name] = sum(bool(s.label) for _, spans in sentences for s in spans)
    return counts


def silver_spans(
    tokenized: TokenizedText,
    logarithms: Sequence[NDArray[np.float32]],
    entities: Sequence[Entity],
    sure: float,
) -> list[Span]:
    """What is sure of a text, and what stays open.

    Args:
        tokenized: the text.
        logarithms: of probabilities, float32 [tokens, labels] for each of its windows.
        entities: decoded from them.
        sure: least probability of what is labelled.

    Returns:
        Spans in text order; those of no label are open.
    """
    if not tokenized.windows:
        return []
    outside = np.concatenate(
        [
            np.exp(rows[window.owned, _OUTSIDE])
            for rows, window in zip(logarithms, tokenized.windows, strict=True)
        ]
    )
    spans = [Span(e.start, e.end, e.label if e.score >= sure else None) for e in entities]
    taken = {place for span in spans for place in range(span.start, span.end)}
    for (start, end), probability in zip(tokenized.spans, outside.tolist(), strict=True):
        # A letter may be several tokens: those of a Korean syllable, or it and its mark.
        if probability < sure and start < end and taken.isdisjoint(range(start, end)):
            taken.update(range(start, end))
            spans.append(Span(start, end, None))
    return sorted(spans, key=lambda span: span.start)


def _labelled(corpus: Corpus, recognizer: Recognizer, sure: float) -> Iterator[Sentence]:
    texts = [example.text for example in corpus.examples]
    for tokenized, scores in recognizer.score_each(texts, corpus.source.name):
        entities = recognizer.decoder.decode(tokenized, scores)
        yield tokenized.text, silver_spans(tokenized, scores, entities, sure)


def _about(corpus: Corpus) -> dict[str, object]:
    return {
        "title": f"{corpus.source.title} (labelled by teachers)",
        "licence": corpus.source.licence,
        "unlabelled_types": [],
        "labels": {kind: kind for kind in ENTITY_TYPES} | {OPEN_LABEL: None},
        "measured": False,
    }
