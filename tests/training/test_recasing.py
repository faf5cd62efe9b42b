"""Texts in small letters, in capitals, and capitalized."""

import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import example as including
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from training.batches import epoch_batches
from training.casing import cased_tokenizer, cased_vocabulary
from training.data import LABELS, Corpus, Example, SourceSet, Span
from training.network import encoder_folder
from training.recasing import CASES, in_case, recased
from training.recipe import Recipe

TEXT = "Angela Merkel\u2019s aide didn't call NASA, McDonald or @tim (Seoul)."
# What joins words, parts them, or is dropped.
ODD = "aAbBcCdDeE '\u2019-@.\u00ad\u200b\u0301\x1c\u00a0\u00df"
SPANS = (Span(0, 13, "PER"), Span(33, 37, "ORG"), Span(39, 47, "PER"), Span(57, 62, "LOC"))


def example(text: str = TEXT, spans: tuple[Span, ...] = SPANS) -> Example:
    return Example("1", text, spans, frozenset({"MISC"}))


@cache
def real_tokenizer() -> Tokenizer:
    """Of the installed encoder: small vocabularies have none of the pieces that differ by case."""
    pieces = Tokenizer.from_file(str(encoder_folder("") / "tokenizer.json")).get_vocab()
    return cased_tokenizer(cased_vocabulary(sorted(pieces, key=pieces.__getitem__)))


def all_recased(text: str, draws: int = 50) -> set[str]:
    rng = random.Random(3)  # noqa: S311
    return {recased(example(text, ()), 1.0, rng).text for _ in range(draws)}


def test_a_text_is_learned_in_each_case_but_for_words_with_a_capital_inside() -> None:
    assert all_recased(TEXT) == {
        "angela merkel\u2019s aide didn't call nasa, McDonald or @tim (seoul).",
        "ANGELA MERKEL\u2019S AIDE DIDN'T CALL NASA, McDonald OR @TIM (SEOUL).",
        "Angela Merkel\u2019s Aide Didn't Call NASA, McDonald Or @Tim (Seoul).",
    }


def test_letters_that_have_no_case_of_one_letter_stay() -> None:
    assert all_recased("Straße") == {"Straße"}


def test_only_the_text_changes() -> None:
    changed = recased(example(), 1.0, random.Random(1))  # noqa: S311
    assert changed.text != TEXT
    assert (changed.spans, changed.unlabelled_types) == (SPANS, frozenset({"MISC"}))


def test_a_share_of_the_texts_is_changed() -> None:
    def changed(share: float) -> int:
        rng = random.Random(3)  # noqa: S311
        return sum(recased(example(), share, rng).text != TEXT for _ in range(1_000))

    assert changed(0.0) == 0
    assert changed(0.2) == pytest.approx(200, abs=40)
    assert changed(1.0) == 1_000


@including("Ronald Mc\u00adDonald")  # a soft hyphen, which the tokenizer drops
@including("e\u0301tat web\u200bsite ca\x1clm no\u00a0break 日本Tokyo")
@settings(deadline=None)  # the first reads the tokenizer
@given(st.text(st.characters(codec="utf-8") | st.sampled_from(ODD), max_size=40))
def test_what_is_learned_has_the_tokens_that_teachers_were_asked_about(
    text: str,
) -> None:
    expected = real_tokenizer().encode(text).offsets
    for changed in all_recased(text, draws=12):
        assert real_tokenizer().encode(changed).offsets == expected


def test_answers_stand_beside_the_same_tokens_in_every_case(tokenizer: Tokenizer) -> None:
    text = "Angela Merkel visited Seoul."
    tokens = len(tokenizer.encode(text, add_special_tokens=False).ids)
    answer = np.eye(tokens, len(LABELS), dtype=np.float16)
    asked = replace(example(text, ()), answers=((0, answer),))
    corpus = Corpus(SourceSet("a", "", ""), "", [asked])

    def batch(share: float) -> tuple[list[list[int]], list[list[list[float]]]]:
        (only,) = epoch_batches([corpus], tokenizer, Recipe(recased_share=share), 1)
        assert only.targets is not None
        return only.ids.tolist(), only.targets.tolist()

    (ids, targets), (changed_ids, changed_targets) = batch(0.0), batch(1.0)
    assert changed_ids != ids
    assert changed_targets == targets


def test_a_corpus_to_be_measured_is_in_one_case_and_keeps_its_offsets() -> None:
    corpus = Corpus(SourceSet("a", "", ""), "", [example(), example("İzmir und Straße", ())])
    texts = {case: [e.text for e in in_case(corpus, case).examples] for case in CASES}
    assert texts == {
        "lower": [TEXT.lower(), "İzmir und straße"],
        "upper": [TEXT.upper(), "İZMIR UND Straße"],
        "capitalized": [
            "Angela Merkel\u2019s Aide Didn't Call NASA, McDonald Or @Tim (Seoul).",
            "İzmir Und Straße",
        ],
    }
    assert in_case(corpus, "lower").examples[0].spans == SPANS
