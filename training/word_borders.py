"""Whether those who annotated the texts drew borders at signs within words.

Where words were parted before they were annotated, as for CoNLL-2003, "Jean-Luc" and
"Paris-based" are a word each, and no name ends within. Elsewhere "Paris" is a name in the latter. A
model's words should be those of what it learned.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from inference.words import joined_words
from training.data import Corpus, Example

# Fewer words say nothing: a thousand names of CoNLL-2003 hold 18 (432 in 23,499, docs/adr/0030).
_LEAST_WORDS = 20
# Slips of the annotators.
_CUT_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class WordBorders:
    """The words with signs within (`inference.words.joined_words`) that mentions hold."""

    whole: int  # that are in a mention altogether
    cut: int  # that a mention begins or ends in

    @property
    def joined(self) -> bool | None:
        """Whether a sign within a word ends none; none: too few words to say."""
        if self.whole + self.cut < _LEAST_WORDS:
            return None
        return self.cut <= _CUT_SHARE * (self.whole + self.cut)

    def __str__(self) -> str:
        return f"{self.whole} words with signs within are all in a name, {self.cut} in part"


def word_borders(corpora: Iterable[Corpus]) -> WordBorders:
    """Counts the words with signs within that mentions begin, end or lie in.

    Args:
        corpora: texts with their spans.
    """
    whole = cut = 0
    for corpus in corpora:
        for example in corpus.examples:
            if example.spans:
                parts = [*_parts(example)]
                whole += sum(parts)
                cut += len(parts) - sum(parts)
    return WordBorders(whole, cut)


def _parts(example: Example) -> Iterable[bool]:
    """Of each word that shares characters with a mention whether one holds all of it."""
    for start, end in joined_words(example.text):
        first = bisect_left(example.spans, start + 1, key=attrgetter("end"))
        span = example.spans[first] if first < len(example.spans) else None
        if span and span.start < end:
            yield span.start <= start and end <= span.end
