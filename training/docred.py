"""DocRED as a labelled set: introductions of Wikipedia articles, in which people marked the names.

Its files hold documents as lists of words; the set holds their sentences, those of every second
document as they would be printed, the others with a space between all words, as Wikigold and
CrossNER have them. "British" is a place there, as what it speaks of, and MISC in the other sets: so
a place that a model of those takes for MISC more often than not becomes MISC.

Source: Yao et al., DocRED (2019); Tan et al., Revisiting DocRED (2022).
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from inference.core import Entity
from training.data import ENTITY_TYPES, DataInvalid, Span
from training.readers.record import read_text
from training.written_set import check_absent, write_set_file, write_split

# The last of the documents are measured, the others learned.
_DEV_SHARE = 0.04
_FEWEST_WORDS = 3
_NO_SPACE_BEFORE = frozenset(", . ; : ! ? ) ] % - ' ” 's 'S n't".split())
_NO_SPACE_AFTER = frozenset("( [ “ $ £ # -".split())
_QUOTE = '"'
_ABOUT = {
    "title": "DocRED (adjectives of places MISC)",
    "licence": "MIT AND CC-BY-SA-3.0",
    "unlabelled_types": [],
    "labels": {kind: kind for kind in ENTITY_TYPES},
}

_Sentence = tuple[str, list[Span]]


class Recognizes(Protocol):
    """Whatever finds the entities of texts."""

    def recognize(self, texts: Sequence[str]) -> list[list[Entity]]:
        """Finds them, in order."""
        ...


def write_docred(files: Sequence[Path], folder: Path, recognizer: Recognizes) -> tuple[int, int]:
    """Writes the set.

    Args:
        files: of DocRED or Re-DocRED; a document that stands in several is taken from the first.
        folder: gets train.jsonl, dev.jsonl and set.json; must not be there.
        recognizer: says which places are MISC.

    Returns:
        Sentences of train and dev.

    Raises:
        DataInvalid: a file is missing or no such list of documents, or the folder is there.
    """
    check_absent([folder])
    documents = [
        [_sentence(words, marked, is_printed=number % 2 == 1) for words, marked in sentences]
        for number, sentences in enumerate(_read(files))
    ]
    _correct_places([sentence for document in documents for sentence in document], recognizer)
    first_measured = len(documents) - max(1, round(len(documents) * _DEV_SHARE))
    folder.mkdir(parents=True)
    write_set_file(folder, _ABOUT)
    return (
        write_split(folder / "train.jsonl", chain.from_iterable(documents[:first_measured])),
        write_split(folder / "dev.jsonl", chain.from_iterable(documents[first_measured:])),
    )


def as_printed(words: Sequence[str]) -> list[bool]:
    """Whether a space stands before each word in print.

    Args:
        words: a sentence's, punctuation apart.
    """
    spaces = []
    is_quoted = False
    before = ""
    for word in words:
        is_closing = word == _QUOTE and is_quoted
        is_opened = before == _QUOTE and is_quoted
        is_tied = word in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER or is_closing or is_opened
        spaces.append(bool(before) and not is_tied)
        is_quoted ^= word == _QUOTE
        before = word
    return spaces


_Mentions = Mapping[tuple[int, int], str]  # words [first, last) and their type


def _read(files: Sequence[Path]) -> Iterator[list[tuple[list[str], _Mentions]]]:
    """The sentences of each document, with their mentions."""
    seen: set[str] = set()
    for path in files:
        try:
            for document in json.loads(read_text(path)):
                if document["title"] not in seen:
                    seen.add(document["title"])
                    yield list(_sentences(document))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataInvalid(
                f"{path}: no list of documents with title, sents and vertexSet: {error!r}"
            ) from error


def _sentences(document: Mapping[str, Any]) -> Iterator[tuple[list[str], _Mentions]]:
    mentions: defaultdict[int, dict[tuple[int, int], str]] = defaultdict(dict)
    for entity in document["vertexSet"]:
        for mention in entity:
            if mention["type"] in ENTITY_TYPES:  # not times and numbers
                first, last = mention["pos"]
                mentions[mention["sent_id"]][first, last] = mention["type"]
    for number, words in enumerate(document["sents"]):
        if sum(bool(word.strip()) for word in words) >= _FEWEST_WORDS:
            yield words, mentions[number]


def _sentence(words: Sequence[str], mentions: _Mentions, *, is_printed: bool) -> _Sentence:
    # Some words are blank, or hold a blank of their own.
    cleaned = [" ".join(word.split()) for word in words]
    written = [i for i, word in enumerate(cleaned) if word]
    spaces = (
        as_printed([cleaned[i] for i in written])
        if is_printed
        else [bool(place) for place in range(len(written))]
    )
    text = ""
    begins: dict[int, int] = {}
    ends: dict[int, int] = {}
    for i, has_space in zip(written, spaces, strict=True):
        text += " " * has_space
        begins[i] = len(text)
        text += cleaned[i]
        ends[i] = len(text)
    spans: list[Span] = []
    taken: set[int] = set()
    # A name in a name is left out.
    for (first, last), kind in sorted(mentions.items(), key=lambda item: item[0][0] - item[0][1]):
        inside = [i for i in range(first, last) if i in begins]
        if inside and not taken.intersection(inside):
            taken.update(inside)
            spans.append(Span(begins[inside[0]], ends[inside[-1]], kind))
    return text, sorted(spans, key=lambda span: span.start)


def _correct_places(sentences: Sequence[_Sentence], recognizer: Recognizes) -> None:
    """Makes adjectives MISC, in place."""
    found_as: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (text, spans), entities in zip(
        sentences, recognizer.recognize([text for text, _ in sentences]), strict=True
    ):
        found = {(entity.start, entity.end): entity.label for entity in entities}
        for span in spans:
            if span.label == "LOC" and (span.start, span.end) in found:
                found_as[text[span.start : span.end]][found[span.start, span.end]] += 1
    adjectives = {name for name, kinds in found_as.items() if kinds["MISC"] * 2 > kinds.total()}
    for text, spans in sentences:
        for i, span in enumerate(spans):
            if span.label == "LOC" and text[span.start : span.end] in adjectives:
                spans[i] = Span(span.start, span.end, "MISC")
