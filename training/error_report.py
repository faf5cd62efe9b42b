"""The error report: an HTML page of the sentences in which a model went wrong."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import NamedTuple

from inference.core import Entity
from training.data import Example, Span
from training.evaluation import Findings, scored_types


class Kind(Enum):
    """How an entity can be wrong."""

    MISSED = "missed"  # marked, and nothing found there
    SPURIOUS = "spurious"  # found, and nothing marked there
    WRONG_TYPE = "wrong type"  # both ends are right
    WRONG_BOUNDARY = "wrong boundary"  # they overlap; the type may be wrong too


@dataclass(frozen=True, slots=True)
class Mistake:
    """One difference between what people marked and what a model found."""

    kind: Kind
    gold: Span | None
    found: Entity | None


class _Mark(NamedTuple):
    """A span to be shown."""

    start: int
    end: int
    label: str
    wrong: bool


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Errors of {model}</title>
<style>
body {{ font: 15px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
table {{ border-collapse: collapse }}
th, td {{ padding: .1rem .8rem; text-align: right }}
th:first-child {{ text-align: left }}
summary {{ cursor: pointer; font-size: 1.2rem; margin-top: 1rem }}
article {{ border-top: 1px solid #ccc; padding: .4rem 0 }}
article p {{ margin: 0; white-space: pre-wrap }}
b {{ display: inline-block; width: 4.5rem; font-weight: normal; color: #666 }}
mark {{ background: #e4e4e4; border-radius: .2rem; padding: 0 .15rem }}
mark.wrong.marked {{ background: #bfe3c4 }}
mark.wrong.found {{ background: #f5c2c0 }}
sub {{ font-size: .7rem; color: #444 }}
</style>
<h1>Errors of {model}</h1>
<p><label>set <select id="set"><option value="">all</option>{options}</select></label></p>
<table>
{counts}
</table>
{sections}
<script>
const select = document.getElementById("set");
select.addEventListener("change", () => {{
  for (const article of document.querySelectorAll("article"))
    article.hidden = select.value !== "" && article.dataset.set !== select.value;
}});
</script>
</html>
"""


def mistakes(example: Example, entities: Sequence[Entity], types: Sequence[str]) -> list[Mistake]:
    """Finds what is wrong in one text.

    Args:
        example: what people marked.
        entities: what was found.
        types: those that are scored.

    Returns:
        In text order. What overlaps no span of the other side is missed or spurious.
    """
    gold = [span for span in example.spans if span.label in types]
    found = [entity for entity in entities if entity.label in types]
    result = [
        Mistake(Kind.MISSED, span, None)
        for span in gold
        if not any(_overlap(span, entity) for entity in found)
    ]
    for entity in found:
        near = max(gold, key=lambda span: _overlap(span, entity), default=None)
        if near is None or not _overlap(near, entity):
            result.append(Mistake(Kind.SPURIOUS, None, entity))
        elif (near.start, near.end) != (entity.start, entity.end):
            result.append(Mistake(Kind.WRONG_BOUNDARY, near, entity))
        elif near.label != entity.label:
            result.append(Mistake(Kind.WRONG_TYPE, near, entity))
    return sorted(result, key=_place)


def error_report(model: str, findings: Sequence[Findings]) -> str:
    """Writes the page; it needs no other file, and every text in it is escaped.

    Args:
        model: its file.
        findings: of each set.
    """
    articles: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    rows = [_row("th", "set", [kind.value for kind in Kind])]
    for found in findings:
        counts = dict.fromkeys(Kind, 0)
        types = scored_types(found.corpus.source)
        for example, entities in zip(found.corpus.examples, found.returned, strict=True):
            for mistake in mistakes(example, entities, types):
                counts[mistake.kind] += 1
                articles[mistake.kind].append(
                    _article(found.corpus.source.name, example, entities, mistake)
                )
        rows.append(_row("td", found.corpus.source.name, map(str, counts.values())))
    names = (escape(found.corpus.source.name) for found in findings)
    return _PAGE.format(
        model=escape(model),
        options="".join(f"<option>{name}</option>" for name in names),
        counts="\n".join(rows),
        sections="\n".join(_section(kind, parts) for kind, parts in articles.items()),
    )


def _section(kind: Kind, articles: Sequence[str]) -> str:
    title = f"<summary>{kind.value} ({len(articles)})</summary>"
    return "\n".join([f"<details>{title}", *articles, "</details>"])


def _article(name: str, example: Example, entities: Sequence[Entity], mistake: Mistake) -> str:
    gold, found = mistake.gold, mistake.found
    marked = _marked(
        example.text,
        (_Mark(s.start, s.end, s.label or "unmapped", s == gold) for s in example.spans),
        "marked",
    )
    answered = _marked(
        example.text,
        (_Mark(e.start, e.end, f"{e.label} {e.score:.2f}", e == found) for e in entities),
        "found",
    )
    lines = f"<p><b>marked</b>{marked}</p><p><b>found</b>{answered}</p>"
    place = f"{escape(name)} {escape(example.id)}"
    return f'<article data-set="{escape(name)}"><small>{place}</small>{lines}</article>'


def _marked(text: str, marks: Iterable[_Mark], side: str) -> str:
    """The escaped text with its spans marked."""
    parts: list[str] = []
    last = 0
    for start, end, label, wrong in marks:
        style = f"wrong {side}" if wrong else side
        inner = f"{escape(text[start:end])}<sub>{escape(label)}</sub>"
        parts += [escape(text[last:start]), f'<mark class="{style}">{inner}</mark>']
        last = end
    return "".join([*parts, escape(text[last:])])


def _row(cell: str, first: str, rest: Iterable[str]) -> str:
    cells: Iterator[str] = (f"<{cell}>{escape(each)}</{cell}>" for each in rest)
    return f"<tr><th>{escape(first)}</th>{''.join(cells)}</tr>"


def _overlap(span: Span, entity: Entity) -> int:
    """Characters that both hold; 0 where they are apart."""
    return max(0, min(span.end, entity.end) - max(span.start, entity.start))


def _place(mistake: Mistake) -> int:
    place = mistake.gold or mistake.found
    return place.start if place else 0
