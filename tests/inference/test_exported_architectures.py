"""Folders as `transformers` exports them, compared with its own pipeline on the same weights."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.core import Aggregation, Entity
from inference.model import Model
from inference.version_folder import LoadRules, load
from tests.exported_model import ARCHITECTURES, CORPUS, export

pytestmark = [
    pytest.mark.timeout(120),
    # The exporter's own use of what torch has meanwhile deprecated.
    pytest.mark.filterwarnings("ignore"),
]

# Without a B- every path is legal, so that the pipeline, which knows no legality, must agree.
IO = ["I-LOC", "O", "I-PER"]
BIO = ["B-LOC", "O", "I-PER", "B-PER", "I-LOC"]
_CLOSE = 2e-4


def _is_wordpiece(name: str) -> bool:
    return ARCHITECTURES[name].tokenizer == "wordpiece"


def recognize(model: Model, text: str, aggregation: Aggregation) -> list[Entity]:
    """Entities of a text."""
    tokenized = model.tokenizer.tokenize(text)
    (window,) = tokenized.windows
    ids = window.ids[None, :]
    return model.decoder.decode(tokenized, [model.session.run(ids, ids * 0 + 1)[0]], aggregation)


def expected(
    pipeline: Any, text: str, strategy: str, label: str
) -> list[tuple[str, int, int, Any]]:
    """What the pipeline finds; some tokenizers count the space before a word to it."""
    found = []
    for one in pipeline(text, aggregation_strategy=strategy, ignore_labels=["O"]):
        start, end = one["start"], one["end"]
        start += len(text[start:end]) - len(text[start:end].lstrip())
        if start < end:
            found.append((one[label], start, end, pytest.approx(float(one["score"]), abs=_CLOSE)))
    return found


def _as_tuples(entities: list[Entity], text: str) -> list[tuple[str, int, int, float]]:
    found = []
    for e in entities:
        assert text[e.start : e.end] == e.text
        start = e.start + len(e.text) - len(e.text.lstrip())
        if start < e.end:
            found.append((e.label, start, e.end, e.score))
    return found


@dataclass(frozen=True, slots=True)
class Exported:
    """A version folder, and the pipeline on the same weights."""

    folder: Path
    pipeline: Any

    def load(self, window_tokens: int = 128) -> Model:
        """Loads it as the service does."""
        return load(self.folder, LoadRules(self.folder.parents[1], window_tokens))


Export = Callable[[str, list[str]], Exported]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Exports an architecture with these labels, once."""
    root = tmp_path_factory.mktemp("models")

    @cache
    def of(name: str, labels: tuple[str, ...]) -> Exported:
        folder = root / f"{name}-{len(labels)}".replace(" ", "-") / "1"
        return Exported(folder, export(folder, name, labels))

    return lambda name, labels: of(name, tuple(labels))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_what_its_pipeline_gives(exported: Export, name: str) -> None:
    made = exported(name, IO)
    model = made.load()
    entities = 0
    for text in CORPUS:
        tokens = _as_tuples(recognize(model, text, Aggregation.NONE), text)
        assert tokens == expected(made.pipeline, text, "none", "entity")
        groups = _as_tuples(recognize(model, text, Aggregation.SIMPLE), text)
        spans = model.tokenizer.tokenize(text).spans
        if all(end <= start for (_, end), (start, _) in pairwise(spans)):
            assert groups == expected(made.pipeline, text, "simple", "entity_group")
        else:  # where several tokens stand for a character, the pipeline's groups may overlap
            assert all(one[2] <= other[1] for one, other in pairwise(groups))
        entities += len(groups)
    assert entities, "random models find something, or nothing was compared"


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if _is_wordpiece(n)])
def test_words_are_the_pipelines_where_it_knows_words(exported: Export, name: str) -> None:
    """Of other tokenizers the pipeline guesses words from spaces and lengths."""
    made = exported(name, IO)
    model = made.load()
    for text in CORPUS[:3]:
        words = _as_tuples(recognize(model, text, Aggregation.FIRST), text)
        assert words == expected(made.pipeline, text, "first", "entity_group")


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2"])
def test_raw_labels_and_places_do_not_depend_on_the_scheme(exported: Export, name: str) -> None:
    made = exported(name, BIO)
    model = made.load()
    assert model.decoder.entity_types == ("LOC", "PER")
    for text in CORPUS:
        tokens = _as_tuples(recognize(model, text, Aggregation.NONE), text)
        assert tokens == expected(made.pipeline, text, "none", "entity")


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "bert"])
def test_the_longest_window_is_what_the_positions_allow_and_no_more(
    exported: Export, name: str
) -> None:
    """RoBERTa's first two positions are the padding's: of 64, 62 hold text."""
    model = exported(name, IO).load(window_tokens=4096)
    assert model.tokenizer.window_tokens == (64 if name == "bert" else 62)
    ids = np.full((1, model.tokenizer.window_tokens), 7)
    assert model.session.run(ids, np.ones_like(ids)).shape == (1, ids.size, len(IO))
    longer = np.full((1, model.tokenizer.window_tokens + 1), 7)
    with pytest.raises(Exception, match=r"(?i)out of|bounds|broadcast|invalid"):
        model.session.run(longer, np.ones_like(longer))


@pytest.mark.parametrize("name", ["roberta", "bert", "deberta-v2"])
def test_a_row_is_the_same_beside_a_longer_one(exported: Export, name: str) -> None:
    """The batcher pads with the id 0, which is a token of some vocabularies."""
    model = exported(name, IO).load()
    short, long = (model.tokenizer.tokenize(CORPUS[n]).windows[0].ids for n in (0, 2))
    ids = np.zeros((2, len(long)), dtype=np.int64)
    ids[0, : len(short)], ids[1] = short, long
    mask = np.ones_like(ids)
    mask[0, len(short) :] = 0
    alone = model.session.run(short[None, :], np.ones_like(short[None, :]))[0]
    assert len(short) < len(long)
    together = model.session.run(ids, mask)[0, : len(short)]
    np.testing.assert_allclose(together, alone, atol=1e-3)


@pytest.mark.parametrize(
    "place",
    ["model_quantized.onnx", "model_int8.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"],
)
def test_the_places_of_optimum_and_transformers_js_are_found(
    exported: Export, tmp_path: Path, place: str
) -> None:
    folder = tmp_path / "models" / "exported" / "1"
    shutil.copytree(exported("distilbert", IO).folder, folder)
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / place)
    model = load(folder, LoadRules(tmp_path / "models"))
    assert model.decoder.labels == tuple(IO)
