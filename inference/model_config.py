"""`config.json` of a version folder: labels, how long a text the model reads, what words are.

Source: the configuration classes of Hugging Face's transformers; a token classifier writes its
labels as `id2label` and its positions as `max_position_embeddings`. `joined_words`,
`passage_tokens`, `min_score` and `label_consistency` are our own, and missing in what others
export.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference.errors import ModelInvalid

FILE_NAME = "config.json"
# The largest published label sets have some hundreds; more would only cost memory in each answer.
_MAX_LABELS = 4_096
_MAX_LABEL_CHARS = 256
# No encoder reads more; a larger figure is a fault or an attack on the size of buffers.
_MAX_POSITIONS = 1_000_000
_LEAST_PASSAGE = 8  # as of the service's own windows
# These count positions from the padding id on: as many as that, and one more, hold no text.
_OFFSET_BY_PADDING = frozenset(
    {
        "camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta",
        "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
    }
)  # fmt: skip
_PADDING_ID = 1  # of RoBERTa and its kin where the configuration does not say


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What serving needs of a configuration."""

    labels: tuple[str, ...]  # by id
    max_tokens: int  # longest window, special tokens included
    joined_words: bool  # a sign within a word ends none (inference.words)
    # Of the windows of a long text, special tokens included, each of which holds as many sentences
    # as fit; 0: a window is a sentence, and how long it may be the service says.
    passage_tokens: int
    min_score: float  # of an entity, in [0, 1], where a caller asks for none
    # How far the occurrences of a word in a text speak for each other, in [0, 1]; 0: not at all.
    label_consistency: float


def parse(content: Mapping[str, Any]) -> ModelConfig:
    """Reads a configuration.

    Args:
        content: the JSON object.

    Raises:
        ModelInvalid: it lacks what serving needs, or holds values that no model has.
    """
    labels, max_tokens = _labels(content), _max_tokens(content)
    return ModelConfig(
        labels,
        max_tokens,
        _joined_words(content),
        _passage_tokens(content, max_tokens),
        _share(content, "min_score"),
        _share(content, "label_consistency"),
    )


def _labels(content: Mapping[str, Any]) -> tuple[str, ...]:
    id2label = content.get("id2label")
    if not isinstance(id2label, dict):
        raise ModelInvalid(f"{FILE_NAME}: id2label is missing")
    if len(id2label) > _MAX_LABELS:
        raise ModelInvalid(
            f"{FILE_NAME}: id2label has {len(id2label)} labels: {_MAX_LABELS} at most"
        )
    labels = [id2label.get(str(i)) for i in range(len(id2label))]
    if not all(isinstance(label, str) and len(label) <= _MAX_LABEL_CHARS for label in labels):
        raise ModelInvalid(f"{FILE_NAME}: id2label must map 0, 1, … to labels")
    return tuple(str(label) for label in labels)


def _joined_words(content: Mapping[str, Any]) -> bool:
    joined = content.get("joined_words", False)
    if not isinstance(joined, bool):
        raise ModelInvalid(f"{FILE_NAME}: joined_words must be true or false")
    return joined


def _passage_tokens(content: Mapping[str, Any], max_tokens: int) -> int:
    tokens = content.get("passage_tokens", 0)
    if type(tokens) is not int or not (tokens == 0 or _LEAST_PASSAGE <= tokens <= max_tokens):
        raise ModelInvalid(
            f"{FILE_NAME}: passage_tokens must be from {_LEAST_PASSAGE} to {max_tokens}, or 0"
        )
    return tokens


def _share(content: Mapping[str, Any], field: str) -> float:
    share = content.get(field, 0.0)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ModelInvalid(f"{FILE_NAME}: {field} must be a number from 0 to 1")
    return float(share)


def _max_tokens(content: Mapping[str, Any]) -> int:
    limit = content.get("max_position_embeddings")
    if limit is None:
        raise ModelInvalid(f"{FILE_NAME}: max_position_embeddings is missing")
    if type(limit) is not int or not 1 <= limit <= _MAX_POSITIONS:
        raise ModelInvalid(
            f"{FILE_NAME}: max_position_embeddings must be from 1 to {_MAX_POSITIONS}"
        )
    if str(content.get("model_type")) not in _OFFSET_BY_PADDING:
        return limit
    padding = content.get("pad_token_id")
    padding = _PADDING_ID if padding is None else padding
    if type(padding) is not int or not 0 <= padding < limit - 1:
        raise ModelInvalid(f"{FILE_NAME}: pad_token_id must be below max_position_embeddings - 1")
    return limit - padding - 1
