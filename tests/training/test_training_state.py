"""States of runs as files."""

import pickle
from pathlib import Path

import pytest
import torch

from training.early_stopping import BestEpoch
from training.training_state import (
    STATE_FILE,
    Position,
    StateInvalid,
    TrainingState,
    check_conditions,
    random_state,
    read_state,
    restore_random_state,
    write_state,
)


def state(step: int) -> TrainingState:
    return TrainingState(
        {"epochs": "4"},
        Position(2, 1, step, 0.25),
        BestEpoch(1, 60.0),
        12.5,
        "abc",
        {"network": {"weight": torch.ones(2)}},
        random_state(),
    )


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    write_state(tmp_path, state(7))
    read = read_state(tmp_path)
    assert (read.conditions, read.position) == ({"epochs": "4"}, Position(2, 1, 7, 0.25))
    assert (read.best, read.elapsed_s, read.run_id) == (BestEpoch(1, 60.0), 12.5, "abc")
    assert read.parts["network"]["weight"].tolist() == [1, 1]


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_state(tmp_path, state(7))
    unwritable = state(8)
    unwritable.parts["network"] = (_ for _ in ())
    with pytest.raises(TypeError):
        write_state(tmp_path, unwritable)
    assert read_state(tmp_path).position.step == 7


def test_drawing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write_state(tmp_path, state(1))
    expected = torch.rand(3)
    torch.manual_seed(1)
    restore_random_state(read_state(tmp_path).random)
    assert torch.equal(torch.rand(3), expected)


class Harmful:
    """What a pickle could do to whoever reads it."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("harm"),))


@pytest.mark.parametrize("content", [b"", b"not a state", pickle.dumps({"position": Harmful()})])
def test_another_file_is_refused_and_nothing_in_it_is_run(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(StateInvalid, match="not a training state"):
        read_state(tmp_path)
    torch.save({"position": Harmful()}, tmp_path / STATE_FILE)
    with pytest.raises(StateInvalid, match="not a training state"):
        read_state(tmp_path)
    assert not (tmp_path / "harm").exists()


def test_a_missing_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateInvalid, match="nothing to resume"):
        read_state(tmp_path)


def test_every_difference_is_named() -> None:
    with pytest.raises(StateInvalid, match="a was 1, is 2; b was 3, is none; c was none, is 4"):
        check_conditions({"a": "1", "b": "3", "d": "5"}, {"a": "2", "c": "4", "d": "5"})
