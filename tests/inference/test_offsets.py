"""Offsets in each unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core import Entity, OffsetUnit
from inference.offsets import convert

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def cut_out(text: str, start: int, end: int, unit: OffsetUnit) -> str:
    """The text between two offsets, as a program that counts in this unit cuts it."""
    if unit is OffsetUnit.UTF16:
        return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")
    if unit is OffsetUnit.BYTE:
        return text.encode()[start:end].decode()
    return text[start:end]


@given(_TEXT, st.data(), st.sampled_from(OffsetUnit))
def test_the_offsets_cut_the_entity_out_of_any_text(
    text: str, data: st.DataObject, unit: OffsetUnit
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    (entity,) = convert([Entity(text[start:end], "PER", start, end, 0.5)], text, unit)
    assert cut_out(text, entity.start, entity.end, unit) == text[start:end]


@pytest.mark.parametrize(
    ("unit", "start", "end"),
    [(OffsetUnit.CODEPOINT, 2, 7), (OffsetUnit.UTF16, 3, 8), (OffsetUnit.BYTE, 5, 11)],
)
def test_the_units_differ_where_the_text_is_not_ascii(
    unit: OffsetUnit, start: int, end: int
) -> None:
    text = "\U0001f600 \u00d6zil!"
    (entity,) = convert([Entity(text[2:7], "PER", 2, 7, 1.0)], text, unit)
    assert (entity.start, entity.end) == (start, end)
