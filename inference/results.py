"""The result of each text of a call, from the outcomes of its windows."""

from itertools import islice

from inference.core import (
    Entity,
    PieceText,
    RecognizeQuery,
    TokenGroup,
    TokenizedText,
)
from inference.decoding import Decoder
from inference.errors import TextRejected
from inference.model import Model
from inference.offsets import convert
from inference.pipeline_decoding import PipelineRules, classify
from inference.reply import Outcome, logits_of


def recognized(
    model: Model,
    query: RecognizeQuery,
    texts: list[TokenizedText | TextRejected],
    outcomes: list[Outcome],
) -> list[list[Entity] | TextRejected]:
    """The entities of each text, or why there are none.

    Args:
        model: what ran the windows.
        query: which entities are wanted, and how their places are counted.
        texts: of the call, in order.
        outcomes: of all their windows, in order.
    """
    results: list[list[Entity] | TextRejected] = []
    remaining = iter(outcomes)
    for text in texts:
        if isinstance(text, TextRejected):
            results.append(text)
        else:
            results.append(_decode(model, query, text, list(islice(remaining, len(text.windows)))))
    return results


def classified(
    texts: list[PieceText | TextRejected], outcomes: list[Outcome], rules: PipelineRules
) -> list[list[TokenGroup] | TextRejected]:
    """The groups of tokens of each text, or why there are none.

    Args:
        texts: of the call, in order.
        outcomes: of all their windows, in order.
        rules: how tokens become groups.
    """
    results: list[list[TokenGroup] | TextRejected] = []
    remaining = iter(outcomes)
    for text in texts:
        if isinstance(text, TextRejected):
            results.append(text)
            continue
        logits = logits_of(list(islice(remaining, len(text.tokenized.windows))))
        if isinstance(logits, TextRejected):
            results.append(logits)
        else:
            results.append(classify(text, logits, rules))
    return results


def _decode(
    model: Model, query: RecognizeQuery, text: TokenizedText, outcomes: list[Outcome]
) -> list[Entity] | TextRejected:
    logits = logits_of(outcomes)
    if isinstance(logits, TextRejected):
        return logits
    found = model.decoder.decode(text, logits, query.aggregation, query.min_score)
    wanted = [entity for entity in found if _is_wanted(entity, query, model.decoder)]
    return convert(wanted, text.text, query.offset_unit)


def _is_wanted(entity: Entity, query: RecognizeQuery, decoder: Decoder) -> bool:
    return not query.labels or decoder.entity_type(entity.label) in query.labels
