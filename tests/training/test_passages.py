"""Passages: consecutive sentences as one text."""

import json
from pathlib import Path

import pytest

from training.__main__ import main
from training.data import ENTITY_TYPES, Corpus, Example, SourceSet, Span
from training.data_folder import find_sets, read_corpus
from training.passages import Packing, has_documents, in_documents, layouts, packed

DOCUMENTS = ("a b", "c", "d e f", "g", "h i"), ("j", "k l m n o")


def sentences() -> list[Example]:
    return [
        Example(text, text, (Span(0, 1, "PER"),), document=str(i))
        for i, document in enumerate(DOCUMENTS)
        for text in document
    ]


def words(text: str) -> int:
    return len(text.split())


def test_a_passage_holds_what_there_is_room_for_and_ends_with_its_document() -> None:
    found = list(packed(sentences(), Packing(words, 4)))
    assert [p.text for p in found] == ["a b c", "d e f g", "h i", "j", "k l m n o"]
    assert [[p.text[s.start : s.end] for s in p.spans] for p in found] == [
        ["a", "c"],
        ["d", "g"],
        ["h"],
        ["j"],
        ["k"],
    ]


def test_each_layout_has_other_borders_in_every_document() -> None:
    texts = [p.text for p in layouts(sentences(), Packing(words, 4), 2)]
    assert texts[:5] == ["a b c", "d e f g", "h i", "j", "k l m n o"]
    assert texts[5:] == ["a b", "c d e f", "g h i"]


def test_what_stands_twice_in_a_set_is_kept_twice() -> None:
    twice = [Example(str(i), "a b", (), document=str(i)) for i in range(2)]
    assert [p.text for p in layouts(twice, Packing(words, 4), 3)] == ["a b", "a b"]


def test_no_sentences_are_no_passages() -> None:
    assert list(packed([], Packing(words, 4))) == []


def test_a_whole_document_has_a_sentence_a_line_and_what_is_of_none_stays_alone() -> None:
    alone = [Example(text, text, (Span(0, 1, "PER"),)) for text in ("p", "q")]
    source = SourceSet("a", "", "")
    found = in_documents(Corpus(source, "", [*sentences(), *alone])).examples
    assert [d.text for d in found] == ["a b\nc\nd e f\ng\nh i", "j\nk l m n o", "p", "q"]
    assert [[d.text[s.start : s.end] for s in d.spans] for d in found][:2] == [[*"acdgh"], [*"jk"]]
    assert has_documents(Corpus(source, "", [*alone, *sentences()]))
    assert not has_documents(Corpus(source, "", alone))


def test_the_command_joins_train_and_dev(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The spans still hold their words, and what a set leaves out is still left out."""
    source = tmp_path / "data" / "mine"
    source.mkdir(parents=True)
    about = {
        "title": "Mine",
        "licence": "CC0-1.0",
        "labels": {"person": "PER", "date": None},
        "unlabelled_types": ["MISC"],
    }
    (source / "set.json").write_text(json.dumps(about))
    head = "-DOCSTART-\tO\n\n"
    for split, name in (("train", "Merkel"), ("dev", "Tim")):
        met = f"{name}\tB-person\nmet\tO\nCook\tB-person\n\n"
        (source / f"{split}.conll").write_text(
            f"{head}{met}Apple\tB-date\nin\tO\nSeoul\tB-person\n\n{head}{met}"
            if split == "train"
            else f"{head}{met}the\tO\n\n{head}{met}"
        )
    into = tmp_path / "passages"
    command = ["passages", "--data", str(tmp_path / "data"), "--encoder", str(encoder)]
    assert main([*command, "--into", str(into), "--window-tokens", "8"]) == 0
    assert "2 passages of 3 sentences of train" in capsys.readouterr().out
    (found,) = find_sets(into)
    assert (found.title, found.licence) == ("Mine (passages)", "CC0-1.0")
    assert found.unlabelled_types == {"MISC"}
    trained, measured = (read_corpus(into, found, split).examples for split in ("train", "dev"))
    assert [e.text for e in trained] == ["Merkel met Cook Apple in Seoul", "Merkel met Cook"]
    assert [(trained[0].text[s.start : s.end], s.label) for s in trained[0].spans] == [
        ("Merkel", "PER"),
        ("Cook", "PER"),
        ("Apple", None),
        ("Seoul", "PER"),
    ]
    assert [e.text for e in measured] == ["Tim met Cook the", "Tim met Cook"]
    lines, short = tmp_path / "lines", tmp_path / "short"
    assert (
        main([*command, "--into", str(lines), "--window-tokens", "8", "--separator", "line"]) == 0
    )
    assert read_corpus(lines, found, "dev").examples[0].text == "Tim met Cook\nthe"
    # With room for one token less the third sentence stays apart.
    assert main([*command, "--into", str(short), "--window-tokens", "7"]) == 0
    assert len(read_corpus(short, found, "train").examples) == 3


def test_the_command_joins_bare_text_that_has_no_dev(tmp_path: Path, encoder: Path) -> None:
    bare = tmp_path / "data" / "bare"
    bare.mkdir(parents=True)
    (bare / "set.json").write_text(json.dumps({"unlabelled_types": list(ENTITY_TYPES)}))
    (bare / "train.conll").write_text("Tim\tO\n\nCook\tO\n")
    into = tmp_path / "passages"
    words = ["passages", "--data", str(tmp_path / "data"), "--encoder", str(encoder)]
    assert main([*words, "--into", str(into)]) == 0
    (found,) = find_sets(into)
    assert [e.text for e in read_corpus(into, found, "train").examples] == ["Tim Cook"]
    assert not (into / "bare" / "dev.jsonl").exists()


def test_sentences_are_not_written_over(
    data: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["passages", "--data", str(data), "--encoder", str(encoder), "--into", str(data)]
    assert main(words) == 1
    assert "name another folder with --into" in capsys.readouterr().err
    assert {e.name for e in (data / "wikigold").iterdir()} == {"train.jsonl", "dev.jsonl"}


def test_a_set_of_the_same_name_elsewhere_is_not_written_over(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = tmp_path / "other" / "btc"
    labelled.mkdir(parents=True)
    words = ["passages", "--data", str(data), "--encoder", str(encoder)]
    assert main([*words, "--into", str(labelled.parent)]) == 1
    assert f"{labelled}: is there already: name another folder" in capsys.readouterr().err
    assert [path.name for path in labelled.parent.iterdir()] == ["btc"]


@pytest.mark.parametrize(
    ("option", "value"), [("--window-tokens", "2"), ("--layouts", "0"), ("--layouts", "two")]
)
def test_a_number_out_of_range_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["passages", "--data", ".", "--into", "x", option, value])
    assert option in capsys.readouterr().err
