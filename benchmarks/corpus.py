"""The sentences that every scenario sends."""

import random

_PEOPLE = ["Angela Merkel", "Tim Cook", "Ngozi Okonjo-Iweala", "Lionel Messi", "Jo", "Marie Curie"]
_PLACES = ["Seoul", "Paris", "New York City", "the Rhine valley", "Addis Ababa", "Tromsø"]
_FIRMS = ["Apple", "Deutsche Bahn", "the United Nations", "Toyota Motor", "IKEA", "BBC News"]
_CLAUSES = [
    "{person} met {person} in {place}",
    "{firm} opened an office in {place} last year",
    "{person} of {firm} said on Monday that prices would rise again",
    "the train from {place} to {place} was late, as it often is in winter",
    "nobody knew what to make of it",
    "according to {firm}, more than 40 people applied for the job",
    "{person} left {firm} after a long dispute about pensions and working hours",
]
_JOINTS = [", and ", " while ", "; ", " because ", " although "]
# One to four clauses: 8 to 70 tokens, 24 on average, as in newspaper text.
_CLAUSE_WEIGHTS = {1: 45, 2: 35, 3: 15, 4: 5}


def sentences(count: int, seed: int) -> list[str]:
    """Makes English sentences of mixed lengths with names in them.

    Args:
        count: how many.
        seed: the same seed gives the same sentences.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [_sentence(chance) for _ in range(count)]


def _sentence(chance: random.Random) -> str:
    (clauses,) = chance.choices(list(_CLAUSE_WEIGHTS), weights=list(_CLAUSE_WEIGHTS.values()))
    text = _clause(chance)
    for _ in range(clauses - 1):
        text += chance.choice(_JOINTS) + _clause(chance)
    return text[0].upper() + text[1:] + "."


def _clause(chance: random.Random) -> str:
    clause = chance.choice(_CLAUSES)
    for slot, names in (("{person}", _PEOPLE), ("{place}", _PLACES), ("{firm}", _FIRMS)):
        while slot in clause:
            clause = clause.replace(slot, chance.choice(names), 1)
    return clause
