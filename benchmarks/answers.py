"""Whether answers are right, as far as that can be seen without the model."""

from collections.abc import Sequence

from benchmarks.ways import Answered

# Nearly every text of the corpora holds a name; a model that finds fewer is not the one measured.
_LEAST_SHARE_WITH_ENTITIES = 0.6
# Fewer texts say nothing about shares.
_FEWEST_FOR_SHARES = 20


def faults(answers: Sequence[Answered]) -> list[str]:
    """Says what is wrong with some answers.

    Args:
        answers: texts of one scenario with their entities; none is a fault too.
    """
    if not answers:
        return ["no answer could be looked at"]
    wrong = sum(
        text.text[entity.start : entity.end] != entity.text
        for text in answers
        for entity in text.entities
    )
    with_entities = sum(bool(text.entities) for text in answers)
    found: list[str] = []
    if wrong:
        found.append(f"{wrong} entities are not what stands at their offsets")
    least = _LEAST_SHARE_WITH_ENTITIES if len(answers) >= _FEWEST_FOR_SHARES else 0
    if with_entities < least * len(answers):
        found.append(f"only {with_entities} of {len(answers)} texts were answered with entities")
    return found
