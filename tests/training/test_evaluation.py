"""Entity F1."""

import pytest

from inference.core import Entity
from training.data import Example, Span
from training.evaluation import Quality, entity_spans, gold_spans, quality


def test_a_span_counts_where_both_ends_and_the_type_are_right() -> None:
    gold = [frozenset({Span(0, 3, "PER"), Span(5, 9, "LOC")}), frozenset({Span(0, 4, "ORG")})]
    found = [
        frozenset({Span(0, 3, "PER"), Span(5, 8, "LOC")}),
        frozenset({Span(0, 4, "LOC"), Span(6, 8, "PER")}),
    ]
    measured = quality(gold, found)
    assert measured.precision == 25.0
    assert measured.recall == pytest.approx(100 / 3)
    assert measured.f1 == pytest.approx(200 / 7)


def test_the_same_offsets_in_another_text_are_no_match() -> None:
    span = frozenset({Span(0, 3, "PER")})
    assert quality([span, frozenset()], [frozenset(), span]).f1 == 0.0


def test_nothing_to_find_and_nothing_found_is_no_division_by_zero() -> None:
    assert quality([frozenset()], [frozenset()]) == Quality(0.0, 0.0, 0.0)


def test_only_the_types_that_all_sets_share_are_scored() -> None:
    example = Example("1", "x" * 20, (Span(0, 3, "PER"), Span(4, 6, "MISC"), Span(7, 9, None)))
    found = [Entity("xxx", "PER", 0, 3, 0.9), Entity("xx", "MISC", 4, 6, 0.9)]
    assert gold_spans(example) == entity_spans(found) == {Span(0, 3, "PER")}
