import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import request_id


def test_new_ids_differ() -> None:
    assert request_id.new() != request_id.new()


@pytest.mark.parametrize("value", ["a", "trace:span-1.2_3", "x" * 128])
def test_a_safe_id_of_the_caller_is_kept(value: str) -> None:
    assert request_id.accept(value) == value


@pytest.mark.parametrize("value", [None, "", "x" * 129, "two words", "line\n", "é", 'q"'])
def test_an_unsafe_id_is_replaced(value: str | None) -> None:
    accepted = request_id.accept(value)
    assert accepted != value
    assert request_id.accept(accepted) == accepted


@given(st.text())
def test_whatever_is_accepted_is_safe_in_a_header(value: str) -> None:
    accepted = request_id.accept(value)
    assert accepted.isascii()
    assert accepted.isprintable()
    assert 1 <= len(accepted) <= 128
