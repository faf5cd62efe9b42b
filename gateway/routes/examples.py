"""What the examples of OpenAPI share. A test asks for them: they are what the model answers."""

import json
from typing import Final

from gateway.errors import Reason

MODEL: Final = "ner-en"
VERSION: Final = "12"
TEXT: Final = "Angela Merkel met Tim Cook of Apple in Seoul."
ENTITIES: Final = [
    {"text": "Angela Merkel", "label": "PER", "start": 0, "end": 13, "score": 0.952016},
    {"text": "Tim Cook", "label": "PER", "start": 18, "end": 26, "score": 0.945881},
    {"text": "Apple", "label": "ORG", "start": 30, "end": 35, "score": 0.635647},
    {"text": "Seoul", "label": "LOC", "start": 39, "end": 44, "score": 0.930117},
]
EMPTY_TEXT: Final = {
    "reason": Reason.TEXT_EMPTY,
    "detail": "the text is empty: send at least one character",
}


def compact(content: object) -> str:
    """JSON as the gateway writes it.

    Args:
        content: of strings, numbers, lists and objects.
    """
    return json.dumps(content, separators=(",", ":"))
