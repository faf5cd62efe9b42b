"""Any text through real tokenizers, any scores through the decoder: what must hold of the answer.

`make fuzz` tries each property many times more.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from inference.core import Aggregation, Entity, TokenizedText
from inference.decoding import Decoder
from inference.sentences import line_starts
from inference.tokenization import Tokenizer
from tests import shipped
from tests.tiny_model import LABELS, WINDOW_TOKENS, rust_tokenizer

_SHIPPED: Final = shipped.FOLDER / "tokenizer.json"
_TINY: Final = Tokenizer(rust_tokenizer(), WINDOW_TOKENS)
# Windows as short as they can be and still overlap, so that short texts have several.
_REAL: Final = Tokenizer.load(_SHIPPED, 20, 22)


def _of_bytes() -> Tokenizer:
    """Spells in bytes; of the second "é" of two the first stands in a token with the one before."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "©Ã"]
    rust = RustTokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [("©", "Ã")]))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Tokenizer(rust, WINDOW_TOKENS)


_BYTES: Final = _of_bytes()
_DECODERS: Final = (
    Decoder(LABELS),
    Decoder(["O", "PER", "LOC"]),  # no prefixes
    Decoder(["O", "B-X", "I-X", "E-X", "S-X"]),
)

_CHARACTERS: Final = st.characters(exclude_categories=["Cs"])
# Names, marks, joiners, scripts of both directions, line ends, and what tokenizers drop.
_PARTS: Final = st.sampled_from(
    [
        *("Tim", "Angela Merkel", " ", "\n", ". ", "! ", "...", "[SEP]", "a" * 120),
        *("e\u0301", "\u0301", "\u200d", "\U0001f468\u200d\U0001f469", "\u3000", "\u00ad"),
        *("\ud55c", "\ud55c\uae00", "\u00e9\u00e9"),
        *("\u0000", "\ufeff", "\u5317\u4eac", "\u0645\u062d\u0645\u062f", "\ufb01", "ß", "İ"),
    ]
)
_TEXTS: Final = st.one_of(
    st.text(_CHARACTERS, max_size=80),
    st.lists(_PARTS, max_size=40).map("".join),
    st.lists(_PARTS, min_size=20, max_size=60).map(" ".join),
)
_TOKENIZERS: Final = st.sampled_from([_TINY, _REAL])


_Make = Callable[[np.random.Generator, tuple[int, int]], NDArray[Any]]


class _Scores:
    """Scores that a model might give, of a kind that decoders trip over."""

    FINITE: Final[dict[str, _Make]] = {
        "any": lambda random, shape: random.normal(0, 3, shape),
        "ties": lambda random, shape: random.integers(0, 2, shape),
        "equal": lambda _random, shape: np.zeros(shape),
        "huge": lambda random, shape: random.choice([-1e38, 0, 1e38], shape),
        "masked": lambda random, shape: _one_finite(random.choice([-np.inf, 0, 1], shape)),
    }
    BROKEN: Final[dict[str, _Make]] = {
        "infinite": lambda random, shape: random.choice([-np.inf, 0, np.inf], shape),
        "impossible": lambda _random, shape: np.full(shape, -np.inf),
        "nan": lambda random, shape: random.choice([np.nan, 0, 1], shape),
    }


def _one_finite(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    scores[..., 0] = np.where(np.isfinite(scores).any(axis=-1), scores[..., 0], 0)
    return scores


def _logits(text: TokenizedText, labels: int, kind: str, seed: int) -> list[NDArray[np.float32]]:
    make = {**_Scores.FINITE, **_Scores.BROKEN}[kind]
    random = np.random.default_rng(seed)
    shapes = [(len(window.ids), labels) for window in text.windows]
    return [np.asarray(make(random, shape), dtype=np.float32) for shape in shapes]


def _check_places(text: str, entities: list[Entity]) -> None:
    for entity in entities:
        assert 0 <= entity.start < entity.end <= len(text)
        assert text[entity.start : entity.end] == entity.text
        assert not entity.text[0].isspace()
        assert not any(entity.start < start < entity.end for start in line_starts(text))
    for before, after in pairwise(entities):
        assert before.end <= after.start


def _found_in_place(
    kind: str,
    text: str,
    tokenizer: Tokenizer,
    decoder: Decoder,
    aggregation: Aggregation,
    seed: int,
) -> list[Entity]:
    """What a decoder makes of drawn scores; entities that are no tokens are where they say."""
    tokenized = tokenizer.tokenize(text)
    logits = _logits(tokenized, len(decoder.labels), kind, seed)
    entities = decoder.decode(tokenized, logits, aggregation)
    if aggregation is not Aggregation.NONE:
        _check_places(text, entities)
    return entities


@given(_TEXTS, st.sampled_from(_DECODERS), st.integers(0))
def test_tokens_that_share_characters_give_no_entities_that_do(
    text: str, decoder: Decoder, seed: int
) -> None:
    tokenized = _BYTES.tokenize(text)
    logits = _logits(tokenized, len(decoder.labels), "any", seed)
    entities = decoder.decode(tokenized, logits, Aggregation.SIMPLE)
    for before, after in pairwise(entities):
        assert before.end <= after.start


@given(_TEXTS, _TOKENIZERS)
def test_every_token_is_owned_by_one_window_that_fits(text: str, tokenizer: Tokenizer) -> None:
    tokenized = tokenizer.tokenize(text)
    owned = [piece for window in tokenized.windows for piece in window.ids[window.owned]]
    whole = tokenizer.rust.encode(text, add_special_tokens=False)
    assert owned == whole.ids
    assert len(tokenized.spans) == len(owned)
    for window in tokenized.windows:
        assert window.owned.start < window.owned.stop
        assert len(window.ids) <= max(tokenizer.window_tokens, tokenizer.model_tokens)
    for (start, end), following in pairwise([*tokenized.spans, (len(text), len(text))]):
        assert 0 <= start <= end <= len(text)
        assert start <= following[0]


@pytest.mark.parametrize("kind", _Scores.FINITE)
@given(
    _TEXTS, _TOKENIZERS, st.sampled_from(_DECODERS), st.sampled_from(Aggregation), st.integers(0)
)
def test_entities_lie_in_the_text_in_order_with_a_probability(
    kind: str,
    text: str,
    tokenizer: Tokenizer,
    decoder: Decoder,
    aggregation: Aggregation,
    seed: int,
) -> None:
    entities = _found_in_place(kind, text, tokenizer, decoder, aggregation, seed)
    for entity in entities:
        assert 0 <= entity.score <= 1 + 1e-6
        assert decoder.entity_type(entity.label) in decoder.entity_types


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of the numbers themselves
@pytest.mark.parametrize("kind", _Scores.BROKEN)
@given(
    _TEXTS, _TOKENIZERS, st.sampled_from(_DECODERS), st.sampled_from(Aggregation), st.integers(0)
)
def test_scores_that_are_no_numbers_do_not_move_an_entity_out_of_its_place(
    kind: str,
    text: str,
    tokenizer: Tokenizer,
    decoder: Decoder,
    aggregation: Aggregation,
    seed: int,
) -> None:
    _found_in_place(kind, text, tokenizer, decoder, aggregation, seed)
