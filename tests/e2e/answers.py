"""What the services answered, as the tests read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

OFFSET_UNITS = ("codepoint", "utf16", "byte")


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One entity of an answer, without its score."""

    start: int
    end: int
    label: str
    text: str


def entities(http: httpx.Client, text: str, **options: Any) -> list[Found]:
    """Asks for the entities of one text; it must be answered."""
    response = http.post("/v1/entities", json={"text": text, **options})
    assert response.status_code == 200, response.text
    return [found(entity) for entity in response.json()["entities"]]


def found(entity: Mapping[str, Any]) -> Found:
    """Reads an entity as JSON has it."""
    return Found(entity["start"], entity["end"], entity["label"], entity["text"])


def cut(text: str, start: int, end: int, unit: str) -> str:
    """The part of a text from start to end, counted as a caller in that unit counts."""
    if unit == "utf16":
        return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")
    if unit == "byte":
        return text.encode()[start:end].decode()
    return text[start:end]
