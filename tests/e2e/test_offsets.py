"""Whatever the text: cutting it at the offsets of an entity gives the entity."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.answers import OFFSET_UNITS, cut, entities
from tests.e2e.stack import WAIT_S, Process

pytestmark = pytest.mark.timeout(120)

# Names and what stands around them; {} is what makes the text nasty.
_FRAME = "{0}Angela Merkel{0} met Tim Cook {0} of Apple in {0}Seoul.{0}"
_NASTY = {
    "emoji": "\U0001f600",
    "family emoji, joined with ZWJ": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "flag and skin tone": "\U0001f1f0\U0001f1f7\U0001f44d\U0001f3fd",
    "combining marks": "a\u0301\u0323\u0308",
    "lone combining mark": "\u0301",
    "CRLF": "\r\n",
    "tabs and no-break spaces": "\t\u00a0\u3000",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "direction marks": "\u202e\u202c\u200f",
    "zero width": "\u200b\u200c\ufeff\u2060",
    "soft hyphen": "\u00ad",
    "NUL": "\x00",
    "control characters": "\x01\x1b\x7f\x85",
    "Hangul, decomposed": "\u1109\u1165\u110b\u116e\u11af",
    "CJK": "\u9996\u723e",
    "ligatures and case that grows": "\ufb01\u0130\u00df\u1e9e",
    "replacement character": "\ufffd",
    "last code point": "\U0010ffff",
    "zalgo": "Z" + "\u0300\u0334\u0362" * 20,
}


@pytest.mark.parametrize("unit", OFFSET_UNITS)
@pytest.mark.parametrize("nasty", _NASTY.values(), ids=_NASTY.keys())
def test_offsets_are_exact_in_nasty_texts(http: httpx.Client, nasty: str, unit: str) -> None:
    text = _FRAME.format(nasty)
    found = entities(http, text, offset_unit=unit)
    assert found, "a text with four names has entities"
    for entity in found:
        assert cut(text, entity.start, entity.end, unit) == entity.text


@pytest.mark.parametrize("aggregation", ["first", "simple", "average", "max", "none"])
def test_offsets_are_exact_with_every_aggregation(http: httpx.Client, aggregation: str) -> None:
    text = _FRAME.format("\U0001f468\u200d\U0001f469 e\u0301\r\n")
    found = entities(http, text, offset_unit="utf16", aggregation=aggregation)
    assert found
    for entity in found:
        assert cut(text, entity.start, entity.end, "utf16") == entity.text


# A name now and then, so that there is something to find among the noise.
_PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["Angela Merkel", "Apple", " in Seoul. ", "\r\n", "\U0001f600", "e\u0301"]),
)


@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(_PIECES, min_size=1, max_size=12))
def test_offsets_are_exact_in_any_text_and_name_the_same_in_each_unit(
    http: httpx.Client, pieces: list[str]
) -> None:
    text = "".join(pieces) or "\x00"
    by_unit = [entities(http, text, offset_unit=unit) for unit in OFFSET_UNITS]
    for unit, found in zip(OFFSET_UNITS, by_unit, strict=True):
        for entity in found:
            assert cut(text, entity.start, entity.end, unit) == entity.text
    named = [[(entity.label, entity.text) for entity in found] for found in by_unit]
    assert named[0] == named[1] == named[2]


@pytest.mark.parametrize(
    "escaped", [r"\ud800", r"\udc00 in Seoul", r"\ud83d\ud83d\ude00", r"\ude00\ud83d"]
)
def test_a_lone_surrogate_escaped_in_json_is_refused(http: httpx.Client, escaped: str) -> None:
    """It is no character, and has no UTF-8: no offset could be right."""
    response = http.post(
        "/v1/entities",
        content=f'{{"text": "Angela {escaped}"}}',
        headers={"content-type": "application/json"},
    )
    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"
    assert entities(http, "She lives in Paris."), "the server goes on"


def test_a_surrogate_pair_escaped_in_json_is_one_character(http: httpx.Client) -> None:
    body = r'{"text": "\ud83d\ude00 Angela Merkel"}'
    response = http.post("/v1/entities", content=body, headers={"content-type": "application/json"})
    (entity,) = response.json()["entities"]
    assert (entity["start"], entity["text"]) == (2, "Angela Merkel")


def test_a_hundred_thousand_words_are_refused_clearly(http: httpx.Client) -> None:
    response = http.post("/v1/entities", json={"text": "Angela visited Seoul " * 33_334})
    assert response.status_code == 422
    assert response.json()["reason"] == "TEXT_TOO_LONG"
    assert "characters" in response.json()["detail"]
    assert entities(http, "She lives in Paris."), "the server goes on"


def test_a_hundred_thousand_words_that_fit_are_read_to_the_end(tiny: Process) -> None:
    # The shortest words there are: more text than this is refused for its characters.
    text = "a " * 99_980 + ". Angela Merkel visited Seoul."
    with httpx.Client(base_url=tiny.ports.url, timeout=WAIT_S) as http:
        found = entities(http, text)
    assert [(entity.start, entity.text) for entity in found] == [
        (199_962, "Angela Merkel"),
        (199_984, "Seoul"),
    ]
