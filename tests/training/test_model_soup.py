"""The mean of checkpoints."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from training.__main__ import main
from training.checkpoint import (
    CheckpointInvalid,
    TrainedOn,
    TrainingRecord,
    load_cased,
    load_record,
    save,
    weights_sha256,
)
from training.data import LABELS
from training.model_soup import average

Saved = Callable[[str, TrainingRecord], Path]


@pytest.fixture
def runs(
    network: BertForTokenClassification,
    tokenizer: Tokenizer,
    record: TrainingRecord,
    tmp_path: Path,
) -> list[Path]:
    """Two that began alike; the second has all weights higher by one, and was calibrated."""
    record = replace(
        record,
        begun_with="train parent",
        command="train 0",
        teachers=("train t",),
        min_score=0.4,
        label_consistency=0.5,
    )
    save(tmp_path / "0", network, tokenizer, record)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(1)
        network.classifier.bias[LABELS.index("O")] += 0.5
        for weight in network.classifier.parameters():
            weight.div_(4)
    other = TrainedOn("wikigold", "CC-BY-4.0", "2" * 64, 1_000)
    part = replace(record.data[0], sha256="3" * 64, examples=7)
    second = replace(record, command="train 1", data=(*record.data, part, other))
    second = replace(second, outside_shift=0.5, temperature=4.0)
    save(tmp_path / "1", network, tokenizer, second)
    return [tmp_path / "0", tmp_path / "1"]


@pytest.fixture
def saved(
    runs: list[Path], network: BertForTokenClassification, tokenizer: Tokenizer, tmp_path: Path
) -> Saved:
    """Writes one more run, with the weights of the second."""
    assert len(runs) == 2

    def write(name: str, record: TrainingRecord) -> Path:
        save(tmp_path / name, network, tokenizer, record)
        return tmp_path / name

    return write


def test_the_weights_are_the_mean_as_if_none_had_been_calibrated(
    runs: list[Path], tmp_path: Path
) -> None:
    average(runs, tmp_path / "mean")
    first, mean = (load_cased(folder).state_dict() for folder in (runs[0], tmp_path / "mean"))
    embedding = "bert.embeddings.word_embeddings"
    for name, weight in first.items():
        if weight.is_floating_point() and not name.startswith(embedding):
            assert torch.allclose(mean[name], weight + 0.5, atol=1e-6), name
    # Both parts of a token's vector are higher by one; what is LOWER lies in the piece.
    pieces = f"{embedding}.uncased"
    assert torch.allclose(mean[pieces], first[pieces] + 1.0, atol=1e-6)
    assert torch.equal(mean[f"{embedding}.rows"], first[f"{embedding}.rows"])


def test_the_record_names_every_run_and_all_data(runs: list[Path], tmp_path: Path) -> None:
    assert main(["average", *map(str, runs), "--run", str(tmp_path / "mean")]) == 0
    record = load_record(tmp_path / "mean")
    assert record.averaged == ("train 0", "train 1")
    assert record.command == "python -m training average RUN1 RUN2 --run RUN"
    assert [(entry.set, entry.sha256[0]) for entry in record.data] == [
        ("uner_en_ewt", load_record(runs[0]).data[0].sha256[0]),
        ("uner_en_ewt", "3"),
        ("wikigold", "2"),
    ]
    assert record.teachers == ("train t",)
    assert record.begun_with == "train parent"
    assert (record.outside_shift, record.temperature) == (0.0, 1.0)
    assert (record.min_score, record.label_consistency) == (None, None)


def test_the_record_of_a_mean_of_means_names_the_runs_behind_them(
    runs: list[Path], saved: Saved, record: TrainingRecord, tmp_path: Path
) -> None:
    average(runs, tmp_path / "mean")
    mean = load_record(tmp_path / "mean")
    run = replace(
        record,
        command="train 2",
        begun_with=mean.begun_with,
        begun_with_sha256=mean.begun_with_sha256,
    )
    average([saved("third", run), tmp_path / "mean"], tmp_path / "of all")
    assert load_record(tmp_path / "of all").averaged == ("train 2", "train 0", "train 1")


def test_a_run_and_what_it_began_with_have_a_mean(
    runs: list[Path], saved: Saved, record: TrainingRecord, tmp_path: Path
) -> None:
    parent = runs[1]
    child = replace(
        record, begun_with=load_record(parent).command, begun_with_sha256=weights_sha256(parent)
    )
    run = saved("child", child)
    for i, folders in enumerate(([run, parent], [parent, run])):
        average(folders, tmp_path / f"mean{i}")
        assert len(load_record(tmp_path / f"mean{i}").averaged) == 2
    other = replace(child, begun_with_sha256="4" * 64)  # the same command, with other weights
    with pytest.raises(CheckpointInvalid, match="did not begin"):
        average([saved("stranger", other), parent], tmp_path / "mean")


def test_no_model_is_written_over_by_a_mean(runs: list[Path], saved: Saved) -> None:
    """Neither one that it is of, such as what the runs began with, nor another."""
    other = saved("other", load_record(runs[1]))
    before = [weights_sha256(folder) for folder in (*runs, other)]
    for target in (*runs, other):
        with pytest.raises(CheckpointInvalid, match=r"holds a model already.*--run"):
            average(runs, target)
    assert [weights_sha256(folder) for folder in (*runs, other)] == before


def test_runs_that_did_not_begin_alike_are_refused(
    runs: list[Path], saved: Saved, record: TrainingRecord, tmp_path: Path
) -> None:
    stranger = saved("stranger", record)
    # As by the same command on other data.
    namesake = replace(record, begun_with="train parent", begun_with_sha256="3" * 64)
    for folders in (
        [*runs, stranger],
        [*runs, saved("namesake stranger", namesake)],
        [stranger] * 2,
    ):
        with pytest.raises(CheckpointInvalid, match=r"stranger: did not begin.*--begin-with"):
            average(folders, tmp_path / "mean")
    with pytest.raises(CheckpointInvalid, match="two checkpoints or more"):
        average(runs[:1], tmp_path / "mean")


def test_runs_that_begin_apart_have_a_mean_if_it_is_asked_for(
    runs: list[Path], saved: Saved, record: TrainingRecord, tmp_path: Path
) -> None:
    stranger = saved("stranger", replace(record, command="train 2"))
    words = ["average", *map(str, [*runs, stranger]), "--run", str(tmp_path / "mean")]
    assert main(words) == 1
    assert main([*words, "--begun-apart"]) == 0
    mean = load_record(tmp_path / "mean")
    assert mean.averaged == ("train 0", "train 1", "train 2")
    assert mean.command == "python -m training average RUN1 RUN2 RUN3 --run RUN --begun-apart"
    assert (mean.begun_with, mean.begun_with_sha256) == ("", "")
    # The second and the third are higher by one.
    name = "bert.encoder.layer.0.output.dense.bias"
    first, whole = (load_cased(f).get_parameter(name) for f in (runs[0], tmp_path / "mean"))
    assert torch.allclose(first + 2 / 3, whole, atol=1e-6)


def test_runs_of_unlike_encoders_have_no_mean(
    runs: list[Path], saved: Saved, record: TrainingRecord, tmp_path: Path
) -> None:
    other = saved("other", replace(record, encoder_sha256="4" * 64))
    other_words = saved("other words", record)
    tokenizer = Tokenizer.from_file(str(other_words / "tokenizer.json"))
    tokenizer.add_tokens(["Nerve"])
    tokenizer.save(str(other_words / "tokenizer.json"))
    for stranger in (other, other_words):
        with pytest.raises(CheckpointInvalid, match=r"other.*is of another encoder"):
            average([*runs, stranger], tmp_path / "mean", begun_apart=True)
