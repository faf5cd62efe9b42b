"""Silver: bare text that teachers label once, and that is learned like any other set."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from inference.core import Entity
from inference.decoding import Decoder
from inference.tokenization import Tokenizer as ServingTokenizer
from training.__main__ import main
from training.checkpoint import TrainingRecord, load_record, save
from training.data import ENTITY_TYPES, LABELS, Span
from training.data_folder import find_sets, read_corpus, read_dev_corpora
from training.distillation import Teachers
from training.fine_tune import Recipe, Run, fine_tune
from training.network import Network
from training.silver import TeachersScorer, silver_spans

TEXT = "Tim Cook of Apple in Seoul"
BARE = ["Tim Cook of Apple in Seoul", "Angela Merkel met McDonald", "", "New York the apple", " \t"]


@pytest.fixture
def serving(tokenizer: Tokenizer) -> ServingTokenizer:
    tokenizer.encode_special_tokens = True
    return ServingTokenizer(tokenizer, 64)


@pytest.fixture
def teachers(
    network: Network, tokenizer: Tokenizer, record: TrainingRecord, tmp_path: Path
) -> list[str]:
    """Two checkpoints that name many words, and agree here and there."""
    torch.manual_seed(3)
    folders = []
    for i, difference in enumerate((3.0, 0.3)):
        with torch.no_grad():
            network.classifier.bias.zero_()
            noise = torch.randn_like(network.classifier.weight)
            network.classifier.weight.add_(noise, alpha=difference)
        folders.append(str(tmp_path / f"teacher{i}"))
        save(Path(folders[-1]), network, tokenizer, replace(record, command=f"train teacher {i}"))
    return folders


@pytest.fixture
def bare(data: Path) -> Path:
    """The labelled sets, and one of bare text among them."""
    (data / "bare").mkdir()
    about = {"title": "Bare", "licence": "CC0-1.0", "unlabelled_types": list(ENTITY_TYPES)}
    (data / "bare" / "set.json").write_text(json.dumps(about))
    lines = [json.dumps({"text": text, "spans": []}) for text in BARE]
    (data / "bare" / "train.jsonl").write_text("\n".join(lines) + "\n")
    return data


def logarithms(serving: ServingTokenizer, words: dict[str, tuple[str, float]]) -> np.ndarray:
    """Of TEXT: each word has a label with a probability; the rest is B-MISC, or O for a name."""
    (window,) = serving.tokenize(TEXT).windows
    probabilities = np.full((len(window.ids), len(LABELS)), 1e-6, np.float32)
    tokens = serving.tokenize(TEXT).spans
    for row, (start, end) in enumerate(tokens, start=window.owned.start):
        label, probability = words.get(TEXT[start:end], ("O", 1.0))
        other = LABELS.index("O") if label != "O" else LABELS.index("B-MISC")
        probabilities[row, other] = max(1 - probability, 1e-6)
        probabilities[row, LABELS.index(label)] = probability
    return np.log(probabilities)


def spans_of(serving: ServingTokenizer, words: dict[str, tuple[str, float]]) -> list[Span]:
    tokenized, scores = serving.tokenize(TEXT), logarithms(serving, words)
    entities = Decoder(LABELS).decode(tokenized, [scores])
    return silver_spans(tokenized, [scores], entities, 0.7)


def test_what_is_sure_is_labelled(serving: ServingTokenizer) -> None:
    words = {"Tim": ("B-PER", 0.9), "Cook": ("I-PER", 0.9), "Apple": ("B-ORG", 0.75)}
    assert spans_of(serving, words) == [Span(0, 8, "PER"), Span(12, 17, "ORG")]


def test_a_name_that_is_not_sure_stays_open(serving: ServingTokenizer) -> None:
    words = {"Apple": ("B-ORG", 0.6), "Seoul": ("B-LOC", 0.9)}
    assert spans_of(serving, words) == [Span(12, 17, None), Span(21, 26, "LOC")]


def test_a_word_that_may_be_a_name_stays_open(serving: ServingTokenizer) -> None:
    assert spans_of(serving, {"Apple": ("O", 0.6), "of": ("O", 0.8)}) == [Span(12, 17, None)]


def test_a_letter_of_several_tokens_stays_open_once(serving: ServingTokenizer) -> None:
    tokenized, scores = serving.tokenize(TEXT), logarithms(serving, {"Apple": ("O", 0.6)})
    first = tokenized.spans.index((12, 17))
    tokenized.spans[first - 1] = (12, 17)
    scores[first] = scores[first + 1]
    assert silver_spans(tokenized, [scores], [], 0.7) == [Span(12, 17, None)]


def test_a_text_without_a_token_has_no_spans(serving: ServingTokenizer) -> None:
    assert silver_spans(serving.tokenize(" \t"), [], list[Entity](), 0.7) == []


def test_the_scores_are_of_the_teachers_mean(teachers: list[str]) -> None:
    loaded = Teachers.load(teachers, torch.device("cpu"))
    ids, mask = np.array([[2, 5, 6, 3]]), np.ones((1, 4), np.int64)
    found = TeachersScorer(loaded).run(ids, mask)
    expected = loaded.targets(torch.from_numpy(ids), torch.from_numpy(mask))
    np.testing.assert_allclose(np.exp(found), expected.numpy(), rtol=1e-5, atol=1e-8)


def test_the_command_writes_a_set_that_is_learned_and_not_measured(
    bare: Path,
    encoder: Path,
    teachers: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["silver", "--data", str(bare), "--sets", "bare", "--teachers", *teachers]
    assert main([*words, "--into", str(bare / "silver"), "--sure", "0.5"]) == 0
    (bare / "silver" / "bare").rename(bare / "named")
    (source,) = find_sets(bare, ["named"])
    assert (source.title, source.licence) == ("Bare (labelled by teachers)", "CC0-1.0")
    corpus = read_corpus(bare, source, "train")
    assert [example.text for example in corpus.examples] == BARE
    labels = [span.label for example in corpus.examples for span in example.spans]
    assert {None} < set(labels) <= {*ENTITY_TYPES, None}
    assert f"{sum(label is not None for label in labels)} names" in capsys.readouterr().out
    by = json.loads((bare / "named" / "silver.json").read_text("utf-8"))
    assert by == {"teachers": ["train teacher 0", "train teacher 1"], "sure": 0.5}
    sources = find_sets(bare, ["named", "wikigold"])
    assert [c.source.name for c in read_dev_corpora(bare, sources)] == ["wikigold"]
    recipe = Recipe(str(encoder), epochs=1, batch_size=4, threads=1, device="cpu")
    fine_tune(recipe, [corpus], [], Run(tmp_path / "run", "train", None, state_steps=0))
    assert load_record(tmp_path / "run").data[0].set == "named"


def test_only_bare_text_is_labelled(
    bare: Path, teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["silver", "--data", str(bare), "--sets", "wikigold", "--teachers", *teachers]
    assert main([*words, "--into", str(tmp_path / "silver")]) == 1
    assert "wikigold: has labels already" in capsys.readouterr().err
    assert not (tmp_path / "silver").exists()


def test_the_bare_text_is_not_written_over(
    bare: Path, teachers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["silver", "--data", str(bare), "--sets", "bare", "--teachers", *teachers]
    before = (bare / "bare" / "set.json").read_bytes()
    assert main([*words, "--into", str(bare / "bare" / "..")]) == 1
    assert "would be written over: name another folder" in capsys.readouterr().err
    assert (bare / "bare" / "set.json").read_bytes() == before


def test_a_set_that_people_have_labelled_is_not_written_over(
    bare: Path, teachers: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "mine" / "bare"
    theirs.mkdir(parents=True)
    (theirs / "train.conll").write_text("Bob B-PER\n")
    words = ["silver", "--data", str(bare), "--sets", "bare", "--teachers", *teachers]
    assert main([*words, "--into", str(tmp_path / "mine")]) == 1
    assert f"{theirs}: a set that no teachers have labelled" in capsys.readouterr().err
    assert [path.name for path in theirs.iterdir()] == ["train.conll"]
    theirs.rename(tmp_path / "elsewhere")
    for _ in range(2):  # what teachers have labelled they may label anew
        assert main([*words, "--into", str(tmp_path / "mine")]) == 0


@pytest.mark.parametrize("sure", ["0", "1.01", "-0.5", "nan", "much"])
def test_a_certainty_that_is_no_probability_is_refused(
    bare: Path, sure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["silver", "--data", str(bare), "--teachers", "t", "--into", "s", "--sure", sure]
    with pytest.raises(SystemExit):
        main(words)
    assert "--sure" in capsys.readouterr().err
