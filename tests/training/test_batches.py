"""Examples as training tensors."""

import random

import pytest
import torch
from tokenizers import Tokenizer

from training.batches import collate, count_batches, encode, epoch_batches, passages
from training.data import LABELS, Corpus, Example, SourceSet, Span, join
from training.recipe import Recipe

MISC = frozenset({"MISC"})
SOURCE = SourceSet("tiny", "Tiny", "CC0-1.0")


def allowed_labels(example: Example, tokenizer: Tokenizer) -> list[set[str]]:
    encoded = encode(example, tokenizer, most_tokens=100)
    return [{LABELS[i] for i in row.nonzero()[0]} for row in encoded.allowed]


def test_the_first_token_of_a_span_begins_it_and_the_others_are_inside(
    tokenizer: Tokenizer,
) -> None:
    """The two spans touch: the second begins anew."""
    example = Example("1", "McDonald Cook met", (Span(0, 8, "PER"), Span(9, 13, "PER")))
    assert allowed_labels(example, tokenizer) == [
        set(LABELS),
        {"B-PER"},
        {"I-PER"},
        {"B-PER"},
        {"O"},
        set(LABELS),
    ]


def test_outside_may_be_misc_where_the_set_does_not_annotate_it(tokenizer: Tokenizer) -> None:
    example = Example("1", "Cook met", (Span(0, 4, "PER"),), MISC)
    assert allowed_labels(example, tokenizer)[1:3] == [{"B-PER"}, {"O", "B-MISC", "I-MISC"}]


def test_a_span_without_counterpart_rules_out_nothing(tokenizer: Tokenizer) -> None:
    example = Example("1", "Apple met Cook", (Span(0, 5, None), Span(10, 14, "PER")))
    assert allowed_labels(example, tokenizer)[1:4] == [set(LABELS), {"O"}, {"B-PER"}]


def test_joined_spans_still_hold_their_words() -> None:
    joined = join(
        Example("1", "Ann left.", (Span(0, 3, "PER"),), MISC),
        Example("2", "Bob met Cy.", (Span(0, 3, "PER"), Span(8, 10, "PER")), MISC),
        "\n",
    )
    assert [joined.text[s.start : s.end] for s in joined.spans] == ["Ann", "Bob", "Cy"]
    assert joined.unlabelled_types == MISC


def test_passages_hold_every_sentence_once_and_in_order() -> None:
    examples = [Example(str(i), f"<{i:02}>" + "x" * 60, ()) for i in range(100)]
    drawn = list(passages(examples, 0.2, random.Random(3)))  # noqa: S311 - keeps no secret
    assert "".join("".join(e.text.split()) for e in drawn) == "".join(e.text for e in examples)
    lengths = {len(example.text) for example in drawn}
    assert min(lengths) == 64
    assert 300 < max(lengths) <= 700


def test_the_share_says_how_many_examples_are_passages() -> None:
    examples = [Example(str(i), "x" * 60, ()) for i in range(200)]
    joined = []
    for share in (0.0, 0.2, 1.0):
        drawn = [*passages(examples, share, random.Random(3))]  # noqa: S311 - keeps no secret
        joined.append(sum(len(e.text.split()) > 1 for e in drawn) / len(drawn))
    assert joined[0] == 0
    assert 0.1 < joined[1] < 0.3
    assert joined[2] > 0.9


def test_no_passage_reaches_into_the_next_document() -> None:
    examples = [Example(str(i), f"{i:02} x", (), document=str(i // 7)) for i in range(140)]
    drawn = list(passages(examples, 0.2, random.Random(3)))  # noqa: S311 - keeps no secret
    of_seven = {" ".join(e.text for e in examples[i : i + 7]) for i in range(0, 140, 7)}
    texts = [" ".join(e.text.split()) for e in drawn]
    assert any(text in of_seven for text in texts)
    assert all(any(text in whole for whole in of_seven) for text in texts)


def test_padding_is_masked_and_rules_out_nothing(tokenizer: Tokenizer) -> None:
    texts = ("Cook", "Cook met Merkel")
    batch = collate([encode(Example("1", text, ()), tokenizer, 100) for text in texts])
    assert batch.mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.allowed[0, 3:].all()
    assert not batch.allowed[0, 1].all()
    assert batch.weights.tolist() == [[0, 1, 0, 0, 0], [0, 1, 1, 1, 0]]


@pytest.mark.parametrize(
    ("joined", "expected"),
    [(False, [1, 0.25, 1, 1, 1, 0.25, 1]), (True, [1, 0.25, 0.25, 0.25, 1, 0.25, 1])],
)
def test_the_first_token_of_a_word_weighs_most(
    tokenizer: Tokenizer, *, joined: bool, expected: list[float]
) -> None:
    """Words are those of the service: a sign within ends none where the annotators saw none end."""
    text = "McDonald-Cook McDonald met"
    assert len(tokenizer.encode(text, add_special_tokens=False).ids) == len(expected)
    encoded = encode(
        Example("1", text, ()), tokenizer, 8, continuation_weight=0.25, joined_words=joined
    )
    assert encoded.weights.tolist() == [0, *expected]  # cut before the last special token


def test_an_epoch_weighs_as_its_recipe_says(tokenizer: Tokenizer) -> None:
    corpus = Corpus(SOURCE, "", [Example("1", "McDonald-Cook", ())])
    for weight, joined, expected in ((1.0, True, 4), (0.25, False, 3.25), (0.25, True, 1.75)):
        recipe = Recipe(continuation_weight=weight)
        (batch,) = epoch_batches([corpus], tokenizer, recipe, 1, joined_words=joined)
        assert batch.weights.sum() == expected


def test_a_text_without_a_token_weighs_nothing(tokenizer: Tokenizer) -> None:
    assert not encode(Example("1", " ", ()), tokenizer, 8).weights.any()


def test_a_longer_example_is_cut(tokenizer: Tokenizer) -> None:
    encoded = encode(Example("1", "apple " * 50, ()), tokenizer, most_tokens=10)
    assert (len(encoded.ids), len(encoded.allowed)) == (10, 10)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_draws_the_same_batches(tokenizer: Tokenizer, seed: int) -> None:
    examples = [Example(str(i), "apple " * (i % 9 + 1), ()) for i in range(50)]
    corpus = Corpus(SOURCE, "", examples)
    recipe = Recipe(seed=seed, batch_size=8, most_tokens=1_000)
    first, second, next_epoch = (
        epoch_batches([corpus], tokenizer, recipe, epoch) for epoch in (1, 1, 2)
    )
    assert len(first) == count_batches([corpus], recipe, 1)
    assert len(next_epoch) == count_batches([corpus], recipe, 2)
    assert [b.ids.tolist() for b in first] != [b.ids.tolist() for b in next_epoch]
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, second, strict=True))
    apples = sum(int(batch.mask.sum()) - 2 * len(batch.ids) for batch in first)
    assert apples == sum(i % 9 + 1 for i in range(50))
