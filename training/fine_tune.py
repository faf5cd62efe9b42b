"""Fine-tuning: a pretrained encoder learns to label names."""

import hashlib
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm
from transformers import BertForTokenClassification

from inference.decoding import Decoder
from inference.tokenization import Tokenizer as ServingTokenizer
from training.batches import Batch, epoch_batches
from training.casing import cased_tokenizer, cased_vocabulary, uncased_pieces
from training.checkpoint import TOKENIZER_FILE, TrainedOn, TrainingRecord, save
from training.data import LABELS, Corpus
from training.evaluation import evaluate
from training.loss import marginal_loss
from training.network import TorchScorer, cased_embedding, encoder_folder, new_network
from training.recognition import Recognizer

_log = logging.getLogger(__name__)
_ENCODER_LICENCE = "Apache-2.0"
_DEV_WINDOW_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a run. The defaults are those of the model that ships."""

    encoder: str = ""  # folder or hub name; empty: the installed package
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1.2e-4
    new_parameter_factor: float = 5.0  # the head and the vectors of case start from nothing
    weight_decay: float = 0.01
    warmup_share: float = 0.06  # of the steps
    gradient_norm_limit: float = 1.0
    most_tokens: int = 256  # in a training example
    seed: int = 20240607
    bfloat16: bool = False  # matrix products only; weights and sums stay float32
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands in a checkpoint's record beside its settings."""

    command: str  # that trains it again
    commit: str | None  # of the code, where it is known


def fine_tune(
    recipe: Recipe,
    corpora: Sequence[Corpus],
    dev: Sequence[Corpus],
    folder: Path,
    provenance: Provenance,
) -> None:
    """Trains a model and writes a checkpoint after each epoch.

    Args:
        recipe: the settings.
        corpora: what to learn.
        dev: what to measure after each epoch; never learned.
        folder: gets the checkpoint, overwritten after each epoch.
        provenance: stands in the record.

    Raises:
        FileNotFoundError: there is no such encoder.
        EncoderInvalid: its tokenizer is not an uncased WordPiece.
    """
    started = time.monotonic()
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    rng = random.Random(recipe.seed)  # noqa: S311 - shuffles, keeps no secret
    source = encoder_folder(recipe.encoder)
    vocabulary = cased_vocabulary(uncased_pieces((source / TOKENIZER_FILE).read_text("utf-8")))
    tokenizer = cased_tokenizer(vocabulary)
    network = new_network(source, vocabulary)
    epochs = [
        epoch_batches(corpora, tokenizer, recipe.batch_size, recipe.most_tokens, rng)
        for _ in range(recipe.epochs)
    ]
    steps = sum(map(len, epochs))
    optimizer = _optimizer(network, recipe)
    schedule = LambdaLR(optimizer, lambda step: _rate(step, steps, recipe.warmup_share))
    with tqdm(total=steps, unit="step", mininterval=5.0) as progress:
        for epoch, batches in enumerate(epochs, start=1):
            loss = _run_epoch(network, batches, optimizer, schedule, recipe, progress)
            _log.info("epoch %d of %d: loss %.4f", epoch, recipe.epochs, loss)
            record = _record(recipe, source, corpora, steps, time.monotonic() - started, provenance)
            save(folder, network, tokenizer, record)
            _report(network, tokenizer, dev)


def _run_epoch(
    network: BertForTokenClassification,
    batches: Sequence[Batch],
    optimizer: AdamW,
    schedule: LambdaLR,
    recipe: Recipe,
    progress: "tqdm[Never]",
) -> float:
    """Learns from each batch once; returns the mean loss."""
    network.train()
    total = 0.0
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            logits = network(input_ids=batch.ids, attention_mask=batch.mask).logits
        loss = marginal_loss(logits.float(), batch.allowed)
        loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it only in part
        nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm_limit)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.item()
        progress.update()
    return total / len(batches)


def _optimizer(network: BertForTokenClassification, recipe: Recipe) -> AdamW:
    """AdamW; no decay for biases and norms, a higher rate and no decay for what is new."""
    new = [*network.classifier.parameters(), cased_embedding(network).case]
    known = {id(parameter) for parameter in new}
    old = [parameter for parameter in network.parameters() if id(parameter) not in known]
    rate = recipe.learning_rate
    return AdamW(
        [
            {"params": new, "lr": rate * recipe.new_parameter_factor, "weight_decay": 0.0},
            {"params": [p for p in old if p.dim() == 1], "lr": rate, "weight_decay": 0.0},
            {
                "params": [p for p in old if p.dim() > 1],
                "lr": rate,
                "weight_decay": recipe.weight_decay,
            },
        ],
        fused=True,
    )


def _rate(step: int, steps: int, warmup_share: float) -> float:
    """Share of the full learning rate: up in a line, then down in a line to zero."""
    warmup = max(1, round(steps * warmup_share))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def _report(
    network: BertForTokenClassification, tokenizer: Tokenizer, dev: Sequence[Corpus]
) -> None:
    recognizer = Recognizer(
        ServingTokenizer(_serving(tokenizer), _DEV_WINDOW_TOKENS),
        TorchScorer(network),
        Decoder(LABELS),
    )
    for corpus in dev:
        measured = evaluate(recognizer, corpus)
        _log.info("%s dev: F1 %.2f", corpus.source.name, measured.f1)


def _serving(tokenizer: Tokenizer) -> Tokenizer:
    copy: Tokenizer = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = True
    return copy


def _record(
    recipe: Recipe,
    source: Path,
    corpora: Sequence[Corpus],
    steps: int,
    duration_s: float,
    provenance: Provenance,
) -> TrainingRecord:
    weights = (source / "model.safetensors").read_bytes()
    return TrainingRecord(
        encoder=recipe.encoder or "sentence-transformers/all-MiniLM-L6-v2",
        encoder_licence=_ENCODER_LICENCE,
        encoder_sha256=hashlib.sha256(weights).hexdigest(),
        data=tuple(
            TrainedOn(c.source.name, c.source.licence, c.sha256, len(c.examples)) for c in corpora
        ),
        seed=recipe.seed,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        precision="bfloat16" if recipe.bfloat16 else "float32",
        steps=steps,
        duration_s=round(duration_s, 1),
        commit=provenance.commit,
        command=provenance.command,
    )
