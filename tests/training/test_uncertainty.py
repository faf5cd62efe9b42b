"""The texts that a model is least sure of."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_model import score_table, write_onnx, write_version
from training.__main__ import main
from training.data import ENTITY_TYPES
from training.data_folder import find_sets, read_corpus
from training.uncertainty import uncertainty

# Of the tiny model's words "b" alone leaves it in doubt.
TEXTS = ["b", "Paris", "a b a", "met 7 b b", "Tim Cook met", "met 1,234.5 b b", ""]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Two sets of bare text, the second with one text; another has labels."""
    for name, texts in (("first", TEXTS), ("second", ["b b b b"])):
        folder = tmp_path / "texts" / name
        folder.mkdir(parents=True)
        about = {"title": name, "licence": "CC0-1.0", "unlabelled_types": ENTITY_TYPES}
        (folder / "set.json").write_text(json.dumps(about))
        lines = [json.dumps({"text": text, "spans": []}) for text in texts]
        (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "texts" / "labelled").mkdir()
    (tmp_path / "texts" / "labelled" / "set.json").write_text("{}")
    (tmp_path / "texts" / "labelled" / "train.conll").write_text("Tim B-PER\n")
    return tmp_path / "texts"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The tiny model, which cannot tell what "b" is."""
    folder = write_version(tmp_path / "tiny" / "1")
    table = score_table()
    ids = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    table[ids["b"]] = 0.0
    write_onnx(folder / "model.onnx", table)
    return folder / "model.onnx"


def unsure(bare: Path, model: Path, into: Path, *words: str) -> int:
    return main(["unsure", "--data", str(bare), "--model", str(model), "--into", str(into), *words])


def texts_of(folder: Path, name: str) -> list[str]:
    (source,) = find_sets(folder, [name])
    assert source.is_bare_text
    assert (source.title, source.licence) == (name, "CC0-1.0")
    return [example.text for example in read_corpus(folder, source, "train").examples]


def test_a_text_is_as_uncertain_as_its_tokens_for_what_it_costs() -> None:
    even, sure = np.zeros((1, 9), np.float32), np.full((1, 9), -50, np.float32)
    sure[0, 0] = 50
    assert uncertainty(even) == pytest.approx(np.log(9) / 11)
    assert uncertainty(sure) == pytest.approx(0.0)
    both = np.concatenate([even, sure, even])
    assert uncertainty(both) == pytest.approx(2 * np.log(9) / 13)
    assert uncertainty(both + 1_000) == pytest.approx(uncertainty(both))
    assert uncertainty(np.zeros((0, 9), np.float32)) == 0.0


def test_the_least_sure_are_written_in_their_order_as_bare_text(
    bare: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two texts that differ in a number the first alone counts."""
    into = tmp_path / "chosen"
    assert unsure(bare, model, into, "--sets", "first", "second", "--most", "3") == 0
    assert texts_of(into, "first") == ["b", "met 7 b b"]
    assert texts_of(into, "second") == ["b b b b"]
    assert capsys.readouterr().out.splitlines() == [
        f"{into / 'first'}: 2 of 7 texts",
        f"{into / 'second'}: 1 of 1 texts",
    ]


def test_a_set_of_which_nothing_is_chosen_is_not_written(
    bare: Path, model: Path, tmp_path: Path
) -> None:
    assert unsure(bare, model, tmp_path / "c", "--sets", "first", "second", "--most", "1") == 0
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["second"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("chosen", "labelled"), "labelled: has labels already; choose --sets of bare text"),
        (("texts", "first"), "first: is there already: name another folder with --into"),
        (("there", "first"), "first: is there already: name another folder with --into"),
    ],
)
def test_nothing_is_written_over_and_labels_are_refused(
    bare: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    place: tuple[str, str],
    message: str,
) -> None:
    beside = bare.parent
    (beside / "there" / "first").mkdir(parents=True)
    assert unsure(bare, model, beside / place[0], "--sets", place[1], "--most", "1") == 1
    assert message in capsys.readouterr().err
    assert not (beside / "chosen").exists()
    assert not [*(beside / "there" / "first").iterdir()]
