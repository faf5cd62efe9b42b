"""Model soup: the mean of the weights of runs.

Runs that begin with the same trained weights and differ in their seeds or settings end near enough
to each other that the mean of their weights is a model too, often a better one than each, and as
fast as one. So does a run and what it began with: the mean keeps more of what that knew. Runs of
several stages, or of models that come from one, may have a mean as well: whoever takes it says that
they began apart, and measures it. Runs of unlike encoders have nothing in common.

Source: Wortsman et al., Model soups (2022), and Robust fine-tuning of zero-shot models (2022).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from training.checkpoint import (
    CheckpointInvalid,
    TrainingRecord,
    check_vacant,
    load_cased,
    load_record,
    load_tokenizer,
    save,
    vocabulary_of,
    weights_sha256,
)
from training.score_calibration import uncalibrated


def average(folders: Sequence[Path], target: Path, *, begun_apart: bool = False) -> None:
    """Writes the checkpoint whose weights are the mean of others'.

    Scores are to be calibrated anew. Configuration and words are those of the first.

    Args:
        folders: of at least two checkpoints.
        target: gets the checkpoint; holds none yet.
        begun_apart: take also those that did not begin with the same trained weights.

    Raises:
        CheckpointInvalid: a folder is not a checkpoint, they did not begin alike or are of unlike
            encoders, or the target is one.
    """
    check_vacant(target)
    records = [load_record(folder) for folder in folders]
    if len(folders) < 2:
        raise CheckpointInvalid(f"{folders[0]}: a mean is of two checkpoints or more: name others")
    if begun_apart:
        _check_encoders(folders, records)
    else:
        _check_alike(folders, records)
    networks = [load_cased(folder) for folder in folders]
    # Each was divided by a temperature of its own, after a shift of its own.
    states = [
        uncalibrated(network.state_dict(), record)
        for network, record in zip(networks, records, strict=True)
    ]
    network = networks[0]
    network.load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    save(target, network, load_tokenizer(folders[0]), _record(records, begun_apart))


def _check_encoders(folders: Sequence[Path], records: Sequence[TrainingRecord]) -> None:
    vocabularies = [vocabulary_of(load_tokenizer(folder)) for folder in folders]
    of_each = [(r.encoder_sha256, v) for r, v in zip(records, vocabularies, strict=True)]
    for folder, encoder in zip(folders, of_each, strict=True):
        if encoder != of_each[0]:
            raise CheckpointInvalid(f"{folder}: is of another encoder than {folders[0]}")


def _check_alike(folders: Sequence[Path], records: Sequence[TrainingRecord]) -> None:
    begun = [_beginning(record) for record in records]
    own = [(r.command, weights_sha256(f)) for f, r in zip(folders, records, strict=True)]
    # What others began with may be among them, in any place.
    first = next((i for i, itself in enumerate(own) if itself not in begun), 0)
    for folder, beginning, itself in zip(folders, begun, own, strict=True):
        if not begun[first][0] or begun[first] not in (beginning, itself):
            raise CheckpointInvalid(
                f"{folder}: did not begin with the same trained model as {folders[first]}: take"
                " runs that were given the same --begin-with, and that model itself if you like;"
                " --begun-apart takes runs of several stages"
            )


def _beginning(record: TrainingRecord) -> tuple[str, str]:
    """What tells one beginning from another: the same command may have learned other data."""
    return record.begun_with, record.begun_with_sha256


def _mean(weights: Sequence[Tensor]) -> Tensor:
    """The mean; what is no weight (which piece a token is of) is the same in all."""
    return torch.stack(list(weights)).mean(0) if weights[0].is_floating_point() else weights[0]


def _record(records: Sequence[TrainingRecord], begun_apart: bool) -> TrainingRecord:
    """The first run's, with what the others add."""
    # A set of which runs read unlike files is named once for each file.
    data = {(entry.set, entry.sha256): entry for record in records for entry in record.data}
    teachers = dict.fromkeys(teacher for record in records for teacher in record.teachers)
    # A mean of means is one of the runs that they are of.
    averaged = dict.fromkeys(
        command for record in records for command in record.averaged or (record.command,)
    )
    runs = " ".join(f"RUN{i}" for i in range(1, len(records) + 1))
    begun_with, begun_with_sha256 = ("", "") if begun_apart else _beginning(records[0])
    return replace(
        records[0],
        command=f"python -m training average {runs} --run RUN" + " --begun-apart" * begun_apart,
        begun_with=begun_with,
        begun_with_sha256=begun_with_sha256,
        averaged=tuple(averaged),
        data=tuple(data.values()),
        teachers=tuple(teachers),
        temperature=1.0,
        outside_shift=0.0,
        min_score=None,
        label_consistency=None,
    )
