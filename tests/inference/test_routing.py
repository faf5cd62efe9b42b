"""Which version answers, decided from a file, a name and a random number."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ModelInvalid
from inference.routing import Routing, kept, parse, preference

FULL = {
    "aliases": {"live": "3", "canary": "4", "old": "1"},
    "canary_share": 0.25,
    "shadow": {"version": "5", "share": 0.5},
}


def test_a_call_is_routed_by_number_by_alias_or_by_share() -> None:
    routing = parse(FULL)
    assert routing.version_for("2", "3", 0.0) == "2"
    assert routing.version_for("old", "3", 0.0) == "1"
    assert routing.version_for("live", "9", 0.9) == "9"
    assert routing.version_for("", "3", 0.249) == "4"
    assert routing.version_for("", "3", 0.25) == "3"


def test_without_a_file_everything_goes_to_the_live_version() -> None:
    routing = parse({})
    assert routing == Routing()
    assert routing.version_for("", "7", 0.0) == "7"
    assert not routing.shadows("7", 0.0)


def test_a_share_of_what_others_answered_is_shadowed() -> None:
    routing = parse(FULL)
    assert routing.shadows("3", 0.49)
    assert not routing.shadows("3", 0.5)
    assert not routing.shadows("5", 0.0)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1), st.floats(0, 1))
def test_the_canary_gets_those_below_its_share_and_no_other(
    numbers: list[float], share: float
) -> None:
    routing = Routing({"canary": "2"}, share)
    chosen = [routing.version_for("", "1", number) for number in numbers]
    assert chosen == ["2" if number < share else "1" for number in numbers]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"alias": {}}, "alias: no such field"),
        ({"aliases": []}, "aliases: must be an object"),
        ({"aliases": {"live": 3}}, "aliases.live: must be a version"),
        ({"aliases": {"live": "../3"}}, "aliases.live: must be a version"),
        ({"aliases": {"4": "3"}}, "must be a word, not a number"),
        ({"aliases": {"a/b": "3"}}, "must be a word"),
        ({"aliases": {f"a{n}": "1" for n in range(65)}}, "64 at most"),
        ({"canary_share": 0.1}, "needs an alias canary"),
        ({"aliases": {"canary": "1"}, "canary_share": 1.1}, "canary_share: must be from 0 to 1"),
        ({"aliases": {"canary": "1"}, "canary_share": True}, "canary_share: must be from 0 to 1"),
        ({"aliases": {"canary": "1"}, "canary_share": float("nan")}, "canary_share: must be"),
        ({"shadow": {"share": 0.1}}, "shadow.version: must be a version"),
        ({"shadow": {"version": "1", "share": "x"}}, "shadow.share: must be from 0 to 1"),
        ({"shadow": {"version": "1", "part": 1}}, "shadow.part: no such field"),
    ],
)
def test_a_file_that_means_nothing_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelInvalid, match=message):
        parse(json.loads(json.dumps(content)))


def test_the_highest_is_preferred_unless_another_is_pinned() -> None:
    versions = ["2", "10", "9", "rc"]
    assert preference(versions, Routing(), "9") == ["10", "9", "2", "rc"]
    assert preference(versions, Routing({"live": "2"}), "9") == ["2", "9", "10", "rc"]
    assert preference(versions, Routing({"live": "7"}), "") == ["10", "9", "2", "rc"]


def test_what_is_live_named_or_among_the_newest_stays_in_memory() -> None:
    versions = ["1", "2", "3", "4", "5"]
    assert kept(versions, Routing(), "5", 2) == {"5", "4"}
    assert kept(versions, Routing({"live": "2", "canary": "1"}), "2", 1) == {"2", "1"}
    assert kept(versions, Routing({}, 0, "3", 0.1), "5", 1) == {"5", "3"}
    assert kept(versions, Routing(), "5", 0) == set(versions)
