"""What scores are worth."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core import Entity
from training.calibration import (
    MIN_SCORES,
    ScoredEntity,
    calibration,
    expected_error,
    reliability,
)
from training.data import Corpus, Example, SourceSet, Span
from training.evaluation import Findings, set_quality

_SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0", frozenset({"MISC"}))


def findings(scores: list[float], right: int) -> Findings:
    """As many found entities as scores; the first `right` of them are right."""
    text = "x" * (2 * len(scores) + 2)
    spans = tuple(Span(2 * i, 2 * i + 1, "PER") for i in range(right))
    entities = [Entity("x", "PER", 2 * i, 2 * i + 1, score) for i, score in enumerate(scores)]
    return Findings(Corpus(_SOURCE, "", [Example("1", text, spans)]), [entities])


def test_scores_that_are_too_high_by_a_fifth_have_an_error_of_a_fifth() -> None:
    measured = calibration([findings([0.95] * 8, right=6)])
    assert measured.expected_error == pytest.approx(0.2)
    last = measured.bins[-1]
    assert (last.lower, last.upper, last.entities) == (0.9, 1.0, 8)
    assert (last.mean_score, last.precision) == pytest.approx((0.95, 0.75))


def test_the_error_weighs_bins_by_their_entities() -> None:
    """Three at 0.85 that are right and one at 0.45 that is wrong."""
    bins = reliability([*[ScoredEntity(0.85, right=True)] * 3, ScoredEntity(0.45, right=False)])
    assert [each.entities for each in bins] == [0, 0, 0, 0, 1, 0, 0, 0, 3, 0]
    assert expected_error(bins) == pytest.approx((3 * 0.15 + 0.45) / 4)


@given(st.lists(st.floats(0.0, 1.0), max_size=50))
def test_every_score_has_its_bin_and_the_error_stays_a_share(scores: list[float]) -> None:
    bins = reliability([ScoredEntity(score, right=score > 0.5) for score in scores])
    assert sum(each.entities for each in bins) == len(scores)
    assert 0.0 <= expected_error(bins) <= 1.0
    assert all(
        each.lower - 1e-9 <= each.mean_score <= each.upper + 1e-9 for each in bins if each.entities
    )


def test_nothing_found_is_no_error() -> None:
    assert calibration([findings([], right=1)]).expected_error == 0.0


def test_a_higher_threshold_drops_what_scores_less() -> None:
    found = findings([0.99, 0.65, 0.9, 0.55], right=2)
    table = {row.min_score: row.quality for row in calibration([found]).thresholds}
    assert tuple(table) == MIN_SCORES
    assert table[0.0] == set_quality(found).micro
    assert (table[0.0].precision, table[0.0].recall) == (50.0, 100.0)
    assert (table[0.6].precision, table[0.6].recall) == pytest.approx((200 / 3, 100.0))
    assert (table[0.9].precision, table[0.9].recall) == (50.0, 50.0)
    assert (table[0.95].precision, table[0.95].recall) == (100.0, 50.0)


def test_what_the_model_says_itself_stands_in_the_table() -> None:
    found = replace(findings([0.99, 0.45, 0.35], right=1), min_score=0.4)
    table = {row.min_score: row.quality for row in calibration([found]).thresholds}
    assert tuple(table) == (0.0, 0.4, *MIN_SCORES[1:])
    assert table[0.4] == set_quality(found).micro
    assert [table[score].precision for score in (0.0, 0.4, 0.5)] == pytest.approx(
        [100 / 3, 50.0, 100.0]
    )


def test_types_that_the_set_does_not_annotate_do_not_count() -> None:
    found = findings([0.95] * 4, right=4)
    found.entities[0].append(Entity("x", "MISC", 8, 9, 0.05))
    measured = calibration([found])
    assert measured.expected_error == pytest.approx(0.05)
    assert measured.thresholds[0].quality.precision == 100.0
