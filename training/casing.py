"""A cased vocabulary made of an uncased one.

An uncased encoder cannot see that "Apple" is a name and "apple" a fruit. Each piece of its
vocabulary is therefore joined by its Title and UPPER spellings. A spelling shares the vector of its
piece and adds the vector of its case, so that a few vectors are new and none is untrained.

WordPiece forgets white space, so that "@name" and "@ name" are the same to it, which corpora of
tweets label differently. A sign that stands apart from what follows is therefore a token of its own
as well: the tokenizer writes it in full width, one character for one, and it adds the vector of
signs that stand apart.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

_CONTINUATION = "##"
_UNKNOWN, _CLS, _SEP, _PAD, _MASK = "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"
SPECIAL_TOKENS = (_PAD, _UNKNOWN, _CLS, _SEP, _MASK)
# What BERT's special tokens are called in MPNet, whose vocabulary holds BERT's, and these besides.
_MPNET_NAMES = {"<pad>": _PAD, "<unk>": _UNKNOWN, "<s>": _CLS, "</s>": _SEP, "<mask>": _MASK}
# BERT's own limit; a longer word becomes [UNK], still with its offsets.
_LONGEST_WORD_CHARACTERS = 100
# Signs, and what they are called where white space follows.
_APART = {"@": "\uff20", "#": "\uff03"}


class EncoderInvalid(Exception):
    """The pretrained encoder cannot be given case; the message says why."""


class Case(IntEnum):
    """How a piece is spelled; a piece without letters is LOWER."""

    LOWER = 0
    TITLE = 1
    UPPER = 2
    APART = 3  # a sign with white space after it


@dataclass(frozen=True, slots=True, eq=False)
class CasedVocabulary:
    """Pieces in every spelling; the first ids are those of the uncased vocabulary."""

    tokens: tuple[str, ...]
    rows: NDArray[np.int64]  # int64 [tokens], the uncased id of each token
    cases: NDArray[np.int64]  # int64 [tokens], its Case


def cased_vocabulary(uncased: Iterable[str]) -> CasedVocabulary:
    """Adds the Title and UPPER spelling of each piece.

    Args:
        uncased: the uncased pieces in order.

    Returns:
        The uncased pieces at their ids, then the new spellings in the order of their pieces, and
        last the signs that stand apart.
    """
    tokens = list(uncased)
    rows = list(range(len(tokens)))
    cases = [Case.LOWER] * len(tokens)
    known = set(tokens)
    for row, piece in enumerate(tuple(tokens)):
        for case, spelling in _spellings(piece):
            if spelling not in known:
                known.add(spelling)
                tokens.append(spelling)
                rows.append(row)
                cases.append(case)
    return with_signs_apart(
        CasedVocabulary(
            tuple(tokens), np.array(rows, dtype=np.int64), np.array(cases, dtype=np.int64)
        )
    )


def with_signs_apart(vocabulary: CasedVocabulary) -> CasedVocabulary:
    """A vocabulary that tells signs apart from what follows; the same one if it does already.

    Args:
        vocabulary: of any age.
    """
    added = [
        (token, vocabulary.tokens.index(sign))
        for sign, token in _APART.items()
        if sign in vocabulary.tokens and token not in vocabulary.tokens
    ]
    return CasedVocabulary(
        (*vocabulary.tokens, *(token for token, _ in added)),
        np.concatenate([vocabulary.rows, vocabulary.rows[[place for _, place in added]]]),
        np.concatenate([vocabulary.cases, np.full(len(added), Case.APART)]),
    )


def _spellings(piece: str) -> list[tuple[Case, str]]:
    if piece.startswith("[") and piece.endswith("]"):
        return []
    prefix = _CONTINUATION if piece.startswith(_CONTINUATION) else ""
    word = piece[len(prefix) :]
    candidates = [(Case.TITLE, word[:1].upper() + word[1:]), (Case.UPPER, word.upper())]
    # Letters such as "ß" have no capital of one letter.
    return [(case, prefix + s) for case, s in candidates if s != word and s.lower() == word]


def cased_tokenizer(vocabulary: CasedVocabulary) -> Tokenizer:
    """A WordPiece tokenizer that keeps case, without truncation or padding.

    Args:
        vocabulary: holds BERT's special tokens.
    """
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    tokenizer = Tokenizer(
        WordPiece(
            ids,
            unk_token=_UNKNOWN,
            continuing_subword_prefix=_CONTINUATION,
            max_input_chars_per_word=_LONGEST_WORD_CHARACTERS,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(
                normalizers.Replace(Regex(rf"{sign}(?=\s)"), token)
                for sign, token in _APART.items()
            ),
            normalizers.BertNormalizer(
                clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=False
            ),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS if token in ids])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_CLS} $A {_SEP}",
        pair=f"{_CLS} $A {_SEP} $B:1 {_SEP}:1",
        special_tokens=[(_CLS, ids[_CLS]), (_SEP, ids[_SEP])],
    )
    return tokenizer


def uncased_pieces(tokenizer_json: str) -> dict[str, int]:
    """BERT's pieces in an uncased WordPiece `tokenizer.json`, and their vectors.

    Args:
        tokenizer_json: the file's text.

    Returns:
        For each piece, in BERT's order, the row of the encoder's word embeddings that it uses:
        its place in a BERT, not in an MPNet.

    Raises:
        EncoderInvalid: it is not an uncased WordPiece tokenizer.
    """
    content = json.loads(tokenizer_json)
    model = content.get("model", {})
    normalizer = content.get("normalizer") or {}
    # Files before tokenizers 0.9 do not name the model's type.
    if model.get("type", "WordPiece") != "WordPiece" or not normalizer.get("lowercase"):
        raise EncoderInvalid("the encoder's tokenizer.json is not an uncased WordPiece")
    vocabulary: dict[str, int] = model["vocab"]
    own = {bert: vocabulary[name] for name, bert in _MPNET_NAMES.items() if name in vocabulary}
    pieces = sorted(vocabulary.keys() - _MPNET_NAMES.keys(), key=vocabulary.__getitem__)
    return {piece: own.get(piece, vocabulary[piece]) for piece in pieces}
