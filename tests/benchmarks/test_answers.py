"""A scenario with wrong answers fails."""

import pytest

from benchmarks.answers import faults
from benchmarks.ways import Answered, Found

_RIGHT = Answered("Jo met Tim", [Found("Jo", "PER", 0, 2), Found("Tim", "PER", 7, 10)])
_EMPTY = Answered("Jo met Tim", [])
_SHIFTED = Answered("Jo met Tim", [Found("Tim", "PER", 6, 9)])


def test_right_answers_have_no_faults() -> None:
    assert faults([_RIGHT] * 30 + [_EMPTY] * 10) == []


@pytest.mark.parametrize("answers", [[], [_RIGHT, _SHIFTED], [_EMPTY] * 30 + [_RIGHT] * 10])
def test_no_answers_and_wrong_offsets_and_too_few_entities_are_faults(
    answers: list[Answered],
) -> None:
    assert len(faults(answers)) == 1
