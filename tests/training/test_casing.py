"""The cased vocabulary."""

import pytest
from tokenizers import Tokenizer

from training.casing import (
    Case,
    CasedVocabulary,
    EncoderInvalid,
    cased_vocabulary,
    uncased_pieces,
    with_signs_apart,
)


def test_the_uncased_pieces_keep_their_ids(
    vocabulary: CasedVocabulary, pieces: tuple[str, ...]
) -> None:
    assert vocabulary.tokens[: len(pieces)] == pieces
    assert vocabulary.rows[: len(pieces)].tolist() == list(range(len(pieces)))


def test_each_piece_has_its_spellings_once(
    vocabulary: CasedVocabulary, pieces: tuple[str, ...]
) -> None:
    found = {
        token: (pieces[row], Case(case))
        for token, row, case in zip(
            vocabulary.tokens, vocabulary.rows.tolist(), vocabulary.cases.tolist(), strict=True
        )
    }
    assert len(found) == len(vocabulary.tokens)
    assert found["Apple"] == ("apple", Case.TITLE)
    assert found["APPLE"] == ("apple", Case.UPPER)
    assert found["##Donald"] == ("##donald", Case.TITLE)
    assert found["A"] == ("a", Case.TITLE)


def test_pieces_without_capitals_stay_alone(vocabulary: CasedVocabulary) -> None:
    """Special tokens, digits, punctuation, and letters whose capital is two letters."""
    assert not {"SS", "Ss", "[Cls]", "[pad]"} & set(vocabulary.tokens)
    for piece in ("[CLS]", ".", "2", "ß"):
        assert vocabulary.tokens.count(piece) == 1


def test_capitals_are_kept_and_accents_dropped_with_right_offsets(tokenizer: Tokenizer) -> None:
    text = "McDonald's Néw YORK apple"
    encoding = tokenizer.encode(text, add_special_tokens=False)
    assert encoding.tokens == ["Mc", "##Donald", "'", "[UNK]", "New", "YORK", "apple"]
    assert [text[start:end] for start, end in encoding.offsets] == [
        "Mc", "Donald", "'", "s", "Néw", "YORK", "apple",
    ]  # fmt: skip


def test_a_sign_apart_from_what_follows_is_another_token(tokenizer: Tokenizer) -> None:
    text = "@apple @ apple #a #\n# b@ A @"
    encoding = tokenizer.encode(text, add_special_tokens=False)
    assert encoding.tokens == [*"@ apple \uff20 apple # a \uff03 \uff03 b \uff20 A @".split()]
    written = [text[start:end] for start, end in encoding.offsets]
    assert written == [*"@ apple @ apple # a # # b @ A @".split()]


def test_a_sign_apart_shares_the_vector_of_the_sign(vocabulary: CasedVocabulary) -> None:
    for sign, apart in (("@", "\uff20"), ("#", "\uff03")):
        here, there = vocabulary.tokens.index(sign), vocabulary.tokens.index(apart)
        assert vocabulary.rows[there] == vocabulary.rows[here]
        assert vocabulary.cases[there] == Case.APART
    assert vocabulary.tokens[-2:] == ("\uff20", "\uff03")


def test_a_vocabulary_of_before_gets_the_signs_once(vocabulary: CasedVocabulary) -> None:
    before = CasedVocabulary(vocabulary.tokens[:-2], vocabulary.rows[:-2], vocabulary.cases[:-2])
    after = with_signs_apart(before)
    assert after.tokens == vocabulary.tokens == with_signs_apart(after).tokens
    assert after.rows.tolist() == vocabulary.rows.tolist()
    assert after.cases.tolist() == vocabulary.cases.tolist()


def test_texts_stand_between_the_special_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("apple").tokens == ["[CLS]", "apple", "[SEP]"]
    assert tokenizer.encode("apple", "seoul").type_ids == [0, 0, 0, 1, 1]


def test_nothing_is_truncated_or_padded(tokenizer: Tokenizer) -> None:
    lengths = [len(e.ids) for e in tokenizer.encode_batch(["apple " * 3_000, "apple"])]
    assert lengths == [3_002, 3]


def test_a_spelling_that_is_a_piece_already_is_not_added() -> None:
    vocabulary = cased_vocabulary(["us", "US", "Us"])
    assert vocabulary.tokens == ("us", "US", "Us")


def test_a_cased_encoder_is_refused() -> None:
    with pytest.raises(EncoderInvalid, match="not an uncased WordPiece"):
        uncased_pieces('{"normalizer": {"lowercase": false}, "model": {"vocab": {}}}')
