"""Channels made even."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertForTokenClassification

from inference.decoding import Decoder
from inference.runtime import Session
from inference.tokenization import Tokenizer as ServingTokenizer
from training.activations import SEEN_TOKENS, Seen, see, training_rows
from training.data import LABELS, Corpus, Example, SourceSet
from training.export import export
from training.graph import products, tensors_of
from training.recognition import Recognizer, pad
from training.smoothing import smoothed, unsmoothed

_OUTLIER = 11


def rows(seed: int) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 50, size=rng.integers(3, 40)) for _ in range(40)]


@pytest.fixture
def float32_file(network: BertForTokenClassification, tmp_path: Path) -> Path:
    """One channel of each normalization is far larger than the others."""
    for name, parameter in network.named_parameters():
        if name.endswith("LayerNorm.weight"):
            parameter.data[_OUTLIER] = 30.0
    export(network, tmp_path / "float32.onnx")
    return tmp_path / "float32.onnx"


def run(path: Path) -> NDArray[np.float32]:
    ids, mask = pad(rows(8))
    logits: NDArray[np.float32] = Session.load(path, 1, len(LABELS)).run(ids, mask)
    real: NDArray[np.float32] = logits[mask == 1]
    return real


def test_it_computes_the_same(float32_file: Path, tmp_path: Path) -> None:
    model, _ = smoothed(onnx.load(float32_file), see(float32_file, rows(7), 1))
    onnx.save(model, tmp_path / "even.onnx")
    before, after = run(float32_file), run(tmp_path / "even.onnx")
    assert np.abs(after - before).max() < 1e-4 * np.abs(before).max()


def test_what_is_multiplied_is_even_and_is_what_it_says(float32_file: Path, tmp_path: Path) -> None:
    before = see(float32_file, rows(7), 1)
    model, told = smoothed(onnx.load(float32_file), before)
    onnx.save(model, tmp_path / "even.onnx")
    found = see(tmp_path / "even.onnx", rows(7), 1)
    made_even = [name for name in found if not name.startswith("active")]
    assert len(made_even) == 2 * 3
    for name, seen in found.items():
        for part in ("least", "greatest", "moments"):
            expected = getattr(seen, part)
            tolerance = 1e-3 * np.abs(expected).max()
            assert np.allclose(getattr(told[name], part), expected, atol=tolerance), (name, part)
    for name in made_even:
        was = before[name.removesuffix("_even")]
        assert unevenness(found[name]) < 0.6 * unevenness(was), name


def unevenness(seen: Seen) -> float:
    """How many times as large as the middle channel the largest is."""
    sizes = np.maximum(np.abs(seen.least), np.abs(seen.greatest))
    return float(sizes.max() / np.median(sizes))


def test_its_constants_can_be_told_from_what_came_of_them(float32_file: Path) -> None:
    plain = onnx.load(float32_file)
    model, _ = smoothed(plain, see(float32_file, rows(7), 1))
    before, after = tensors_of(plain), unsmoothed(tensors_of(model))
    assert before.keys() == after.keys()
    for name in ("attention_weight0", "attention_weight1", "wide_weight0", "wide_weight1"):
        width = before[name].shape[1]
        kept = slice(width if name.startswith("wide") else width * 2 // 3)  # values stay divided
        assert not np.allclose(tensors_of(model)[name][:, kept], before[name][:, kept], rtol=0.1)
        assert np.allclose(after[name][:, kept], before[name][:, kept], rtol=1e-4)


def test_what_is_seen_is_of_real_tokens_alone(float32_file: Path) -> None:
    """Two rows of other lengths in one batch are what they are each alone."""
    long, short = np.array([2, *range(5, 45), 3]), np.array([2, 7, 3])
    together = see(float32_file, [long, short], 1)
    apart = [see(float32_file, [row], 1) for row in (long, short)]
    assert together.keys() == {n.input[0] for n, _ in products(onnx.load(float32_file))}
    for name, seen in together.items():
        first, second = (each[name] for each in apart)
        assert np.allclose(seen.least, np.minimum(first.least, second.least), atol=1e-4)
        assert np.allclose(seen.greatest, np.maximum(first.greatest, second.greatest), atol=1e-4)
        moments = (first.moments * len(long) + second.moments * len(short)) / (
            len(long) + len(short)
        )
        assert np.allclose(seen.moments, moments, atol=1e-3 * np.abs(moments).max())


def test_training_texts_are_drawn_from_all_sets_up_to_a_number_of_tokens(
    float32_file: Path, tokenizer: Tokenizer
) -> None:
    recognizer = Recognizer(
        ServingTokenizer(tokenizer, 60), Session.load(float32_file, 1, len(LABELS)), Decoder(LABELS)
    )
    corpora = [
        Corpus(
            SourceSet(word, "", ""), "", [Example(str(i), f"{word} in Seoul", ()) for i in range(n)]
        )
        for word, n in (("Apple", 20_000), ("Cook", 20_000))
    ]
    drawn = training_rows(recognizer, corpora)
    assert SEEN_TOKENS <= sum(map(len, drawn)) < SEEN_TOKENS + 60
    first = {int(row[1]) for row in drawn}
    assert len(first) == 2
    few = training_rows(recognizer, [Corpus(SourceSet("few", "", ""), "", corpora[0].examples[:3])])
    assert len(few) == 3
