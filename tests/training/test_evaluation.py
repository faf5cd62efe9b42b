"""Entity F1."""

from dataclasses import replace

import pytest

from inference.core import Entity
from training.data import Corpus, Example, SourceSet, Span
from training.evaluation import Findings, Quality, mean_quality, quality, set_quality


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


def test_what_is_found_of_a_type_that_the_set_does_not_annotate_is_not_scored() -> None:
    example = Example("1", "x" * 20, (Span(0, 3, "PER"), Span(4, 6, "MISC"), Span(7, 9, None)))
    found = [Entity("xxx", "PER", 0, 3, 0.9), Entity("xx", "MISC", 10, 12, 0.9)]
    full = SourceSet("full", "Full", "CC0-1.0")
    without = replace(full, unlabelled_types=frozenset({"MISC"}))
    measured = [
        set_quality(Findings(Corpus(source, "", [example]), [found])).micro
        for source in (full, without)
    ]
    assert measured == [Quality(50.0, 50.0, 50.0, 2), Quality(100.0, 100.0, 100.0, 1)]


def test_what_the_service_does_not_return_is_not_measured() -> None:
    example = Example("1", "x" * 20, (Span(0, 3, "PER"),))
    found = [Entity("xxx", "PER", 0, 3, 0.4), Entity("xx", "PER", 4, 6, 0.39)]
    corpus = Corpus(SourceSet("full", "Full", "CC0-1.0"), "", [example])
    assert set_quality(Findings(corpus, [found])).micro.precision == 50.0
    assert set_quality(Findings(corpus, [found], min_score=0.4)).micro.precision == 100.0


def test_each_type_has_its_own_figures_and_the_macro_mean_is_over_those_that_occur() -> None:
    example = Example("1", "x" * 20, (Span(0, 3, "PER"), Span(4, 6, "PER"), Span(7, 9, "LOC")))
    found = [Entity("xxx", "PER", 0, 3, 0.9), Entity("xx", "LOC", 7, 9, 0.9)]
    corpus = Corpus(SourceSet("full", "Full", "CC0-1.0"), "", [example])
    measured = set_quality(Findings(corpus, [found]))
    assert list(measured.types) == ["PER", "ORG", "LOC", "MISC"]
    assert measured.types["PER"].f1 == pytest.approx(200 / 3)
    assert measured.types["LOC"] == Quality(100.0, 100.0, 100.0, 1)
    assert measured.types["ORG"] == Quality(0.0, 0.0, 0.0, 0)
    assert measured.micro.f1 == pytest.approx(80.0)
    assert (measured.macro.precision, measured.macro.recall) == (100.0, 75.0)
    assert measured.macro.f1 == pytest.approx(250 / 3)


def test_the_mean_over_sets_counts_each_set_the_same() -> None:
    sets = [Quality(80.0, 60.0, 70.0, 1000), Quality(60.0, 40.0, 50.0, 10)]
    assert mean_quality(sets) == Quality(70.0, 50.0, 60.0, 1010)
    assert mean_quality([]) == Quality(0.0, 0.0, 0.0, 0)
