"""A trained model as a folder: an ordinary Hugging Face one, and how it came about.

config.json model.safetensors tokenizer.json   any token classifier
casing.safetensors                             the vectors of case, and who uses which
training.json                                  encoder, data, settings, commit
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from training.casing import CasedVocabulary, cased_tokenizer, with_signs_apart
from training.network import Network, cased_embedding, keep_rows, pretrained, with_casing

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"
CLASSIFIER = ("classifier.weight", "classifier.bias")  # of all weights, by name
WEIGHTS_FILE = "model.safetensors"
_CASING_FILE = "casing.safetensors"
_RECORD_FILE = "training.json"
# All that a finished model is.
MODEL_FILES = (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE, _CASING_FILE, _RECORD_FILE)


class CheckpointInvalid(Exception):
    """A folder is no checkpoint of this package, or none for this use; the message says why."""


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """A set that the model learned from."""

    set: str
    licence: str
    sha256: str  # of its train split
    examples: int
    revision: str | None = None  # commit of the repository that it was taken from
    title: str = ""  # that people know it by


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """How a checkpoint came about."""

    encoder: str
    encoder_licence: str
    encoder_sha256: str  # of its weights
    data: tuple[TrainedOn, ...]
    seed: int
    epochs: int  # that the weights learned
    learning_rate: float
    batch_size: int
    precision: str  # of the matrix products; weights are float32
    steps: int  # that the weights learned
    duration_s: float
    commit: str | None
    command: str
    run_id: str | None = None  # in the tracking store
    average_decay: float = 0.0
    patience: int = 0
    device: str = "cpu"
    teachers: tuple[str, ...] = ()  # the commands that trained them
    temperature: float = 1.0  # that the logits are divided by, inside the classifier
    outside_shift: float = 0.0  # that was added to the logit of O before
    min_score: float | None = None  # of entities that are returned; None: none was looked for
    # Of the occurrences of a word in a text; None: none was looked for.
    label_consistency: float | None = None
    begun_with: str = ""  # the command that trained what it began with, if not an encoder
    begun_with_sha256: str = ""  # of the weights of that
    averaged: tuple[
        str, ...
    ] = ()  # the commands of the runs whose mean it is; the rest: the first's
    restored_from: str = ""  # the published version whose int8 file gave the weights


def check_vacant(folder: Path) -> None:
    """Refuses to write over a model, which may be the only copy of days of work.

    Args:
        folder: is to get a checkpoint.

    Raises:
        CheckpointInvalid: it holds one.
    """
    if (folder / WEIGHTS_FILE).exists():
        raise CheckpointInvalid(
            f"{folder}: holds a model already, which would be written over: name another folder"
            " with --run, or move this one away"
        )


def save(folder: Path, network: Network, tokenizer: Tokenizer, record: TrainingRecord) -> None:
    """Writes a checkpoint.

    Args:
        folder: made if it is missing; files in it are overwritten.
        network: made by `new_network`.
        tokenizer: made by `cased_tokenizer`.
        record: how the network was trained.
    """
    embedding = cased_embedding(network)
    name_of_embedding = f"{network.base_model_prefix}.embeddings.word_embeddings"
    uncased, case = embedding.folded()
    weights = {
        name: tensor.detach().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith(name_of_embedding)
    }
    weights[f"{name_of_embedding}.weight"] = uncased[embedding.rows] + case[embedding.cases]
    casing = {
        "rows": embedding.rows.to(torch.int32),
        "cases": embedding.cases.to(torch.int32),
        "vectors": case,
    }
    network.config.architectures = [type(network).__name__]
    with _replacing(folder) as new:
        save_file(weights, new / WEIGHTS_FILE, metadata={"format": "pt"})
        save_file(casing, new / _CASING_FILE)
        network.config.save_pretrained(new)
        tokenizer.save(str(new / TOKENIZER_FILE))
        _write_record(new, new, record)


def adjust_classifier(
    folder: Path, shift: NDArray[np.float32], factor: float, record: TrainingRecord
) -> None:
    """Shifts the logits of a checkpoint, then multiplies them.

    Args:
        folder: the checkpoint.
        shift: float32 [labels], added to the logit of each.
        factor: of every logit.
        record: takes the place of its record.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    weights = _tensors(folder / WEIGHTS_FILE)
    _, bias = CLASSIFIER
    weights[bias] += torch.from_numpy(shift)
    for name in CLASSIFIER:
        weights[name] = weights[name] * factor
    with _replacing(folder) as new:
        save_file(weights, new / WEIGHTS_FILE, metadata={"format": "pt"})
        _write_record(folder, new, record)


def keep_record(folder: Path, record: TrainingRecord) -> None:
    """Writes the record of a checkpoint anew, and what serving reads of it.

    Args:
        folder: the checkpoint.
        record: takes the place of its record.
    """
    with _replacing(folder) as new:
        _write_record(folder, new, record)


def load_record(folder: Path) -> TrainingRecord:
    """Reads how a checkpoint came about.

    Args:
        folder: the checkpoint.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    path = _existing(folder / _RECORD_FILE)
    try:
        content = json.loads(path.read_text("utf-8"))
        content["data"] = tuple(TrainedOn(**entry) for entry in content["data"])
        for name in ("teachers", "averaged"):
            content[name] = tuple(content.get(name, ()))
        return TrainingRecord(**content)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointInvalid(f"{path}: no record of a training: {error!r}") from error


def load_plain(folder: Path) -> Network:
    """Reads a checkpoint as any user of Hugging Face would.

    Args:
        folder: the checkpoint.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    path = _existing(folder / WEIGHTS_FILE)
    try:
        network = pretrained(folder)
    except SafetensorError as error:
        raise _cut(path, error) from error
    network.train(mode=False)
    return network


def load_cased(folder: Path) -> Network:
    """Reads a checkpoint with its embeddings in two parts, as it was trained.

    One of before that does not tell signs apart gets their tokens (`load_tokenizer` has them too),
    and thinks of them what it thought of the signs.

    Args:
        folder: the checkpoint.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    casing = _tensors(folder / _CASING_FILE)
    network = load_plain(folder)
    keep_rows(network, range(int(casing["rows"].max()) + 1))
    with_casing(network, _vocabulary(folder, casing))
    cased_embedding(network).take_cases(casing["vectors"])
    network.train(mode=False)
    return network


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer whose ids the network of `load_cased` takes.

    Args:
        folder: the checkpoint.

    Raises:
        CheckpointInvalid: the folder is not a checkpoint.
    """
    return cased_tokenizer(_vocabulary(folder, _tensors(folder / _CASING_FILE)))


def vocabulary_of(tokenizer: Tokenizer) -> str:
    """Names a tokenizer: a text has the same tokens in two of one name."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


def weights_sha256(folder: Path) -> str:
    """Names the weights of a checkpoint or an encoder.

    Args:
        folder: holds them.

    Raises:
        FileNotFoundError: it does not.
    """
    return hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()


def _vocabulary(folder: Path, casing: Mapping[str, Tensor]) -> CasedVocabulary:
    ids = Tokenizer.from_file(str(_existing(folder / TOKENIZER_FILE))).get_vocab()
    return with_signs_apart(
        CasedVocabulary(
            tuple(sorted(ids, key=ids.__getitem__)),
            casing["rows"].long().numpy(),
            casing["cases"].long().numpy(),
        )
    )


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A folder for new files, which take the places of the old ones when all are written."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".writing-") as name:
        new = Path(name)
        yield new
        for file in new.iterdir():
            file.replace(folder / file.name)


def _write_record(folder: Path, new: Path, record: TrainingRecord) -> None:
    """Writes the record into a new folder, and the configuration as the record has it."""
    content = json.dumps(asdict(record), indent=2) + "\n"
    (new / _RECORD_FILE).write_text(content, "utf-8")
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    for field in ("min_score", "label_consistency"):
        config.pop(field, None)
        if found := getattr(record, field):
            config[field] = found
    (new / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(_existing(path))
    except SafetensorError as error:
        raise _cut(path, error) from error


def _cut(path: Path, error: Exception) -> CheckpointInvalid:
    return CheckpointInvalid(f"{path}: no whole file of weights ({error}): train it anew")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CheckpointInvalid(f"{path}: no such file; `python -m training fine-tune` writes it")
    return path
