"""What may be in memory at once."""

from hypothesis import given
from hypothesis import strategies as st

from inference.residency import Residency


def to_evict(
    residency: Residency[str], size_bytes: int, busy: frozenset[str] = frozenset()
) -> list[str] | None:
    """What must go for a model that comes alone."""
    residency.line_up("new", size_bytes)
    chosen = residency.to_evict("new", lambda name: name not in busy)
    residency.drop("new")
    return chosen


def test_the_least_recently_used_makes_room() -> None:
    residency: Residency[str] = Residency(100)
    for name in ("a", "b", "c"):
        residency.hold(name, 30)
    residency.touch("a", was_idle=True)
    assert to_evict(residency, 10) == []
    assert to_evict(residency, 20) == ["b"]
    assert to_evict(residency, 50) == ["b", "c"]


def test_what_is_in_use_stays() -> None:
    residency: Residency[str] = Residency(100)
    residency.hold("a", 50)
    residency.hold("b", 50)
    assert to_evict(residency, 20, frozenset("a")) == ["b"]
    assert to_evict(residency, 60, frozenset("a")) is None


def test_who_fits_beside_those_ahead_does_not_wait_for_them() -> None:
    residency: Residency[str] = Residency(100)
    residency.hold("a", 60)
    residency.line_up("large", 70)
    residency.line_up("small", 30)
    residency.line_up("more", 10)
    assert residency.to_evict("large", lambda name: name != "a") is None
    assert residency.to_evict("small", lambda name: name != "a") == []
    assert residency.to_evict("more", lambda name: name != "a") is None
    residency.line_up("large", 70)  # it goes to the end
    assert residency.to_evict("more", lambda name: name != "a") == []


def test_many_small_ones_do_not_keep_a_large_one_out() -> None:
    """While it waits, what comes leaves it its room, what came meanwhile and is in use included."""
    residency: Residency[str] = Residency(100)
    residency.hold("a", 60)
    residency.line_up("large", 70)
    for name in ("b", "c", "d"):
        residency.line_up(name, 20)
        if residency.to_evict(name, lambda _: False) == []:
            residency.hold(name, 20)
            residency.replace(name, f"{name} in use", 20)
    assert list(residency) == ["a", "b in use"]
    assert residency.to_evict("large", lambda name: name == "a") == ["a"]


def test_what_would_fit_beside_the_busy_is_kept_out_by_none_that_came_after_it() -> None:
    """Those that have passed it need not be idle all at once."""
    residency: Residency[str] = Residency(15)
    busy = {"x": 7, "a": 3, "b": 3}
    for name, size in busy.items():
        residency.hold(name, size)
    residency.line_up("large", 8)
    residency.line_up("c", 3)
    del busy["a"]
    assert residency.to_evict("large", lambda name: name not in busy) is None
    assert residency.to_evict("c", lambda name: name not in busy) == ["a"]  # b keeps it out anyway
    residency.drop("a")
    residency.hold("c", 3)
    residency.replace("c", "c in use", 3)
    busy["c in use"] = 3
    residency.line_up("d", 3)
    del busy["b"]
    assert residency.to_evict("large", lambda name: name not in busy) is None
    assert residency.to_evict("d", lambda name: name not in busy) is None
    residency.touch("b", was_idle=True)
    busy["b"] = 3  # it is no longer one of those that were there before
    del busy["c in use"]
    assert residency.to_evict("d", lambda name: name not in busy) is None
    del busy["b"]
    assert residency.to_evict("large", lambda name: name not in busy) == ["c in use", "b"]


def test_what_is_being_loaded_when_a_large_one_comes_was_there_before_it() -> None:
    """The large one waits for it, and who leaves the large one its room need not."""
    residency: Residency[str] = Residency(100)
    residency.line_up("a", 60)
    residency.hold("a", 60)
    residency.line_up("large", 70)
    residency.replace("a", "a in use", 60)
    residency.line_up("small", 30)
    assert residency.to_evict("large", lambda _: False) is None
    assert residency.to_evict("small", lambda _: False) == []


def test_what_passed_and_never_rests_holds_up_the_others_for_one_turn() -> None:
    residency: Residency[str] = Residency(100)
    residency.hold("a", 40)
    residency.line_up("large", 80)
    residency.hold("small", 20)
    residency.line_up("next", 20)
    assert residency.to_evict("large", lambda _: False) is None
    assert residency.to_evict("next", lambda _: False) is None
    residency.line_up("large", 80)
    residency.line_up("next", 20)
    assert residency.to_evict("next", lambda _: False) == []


def test_without_a_bound_everything_fits() -> None:
    residency: Residency[str] = Residency(0)
    residency.hold("a", 10**12)
    assert residency.fits_at_all(10**15)
    residency.line_up("b", 10**15)
    residency.line_up("c", 10**15)
    assert residency.to_evict("c", lambda _: True) == []


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60), st.booleans()), max_size=60),
    st.integers(1, 100),
)
def test_whoever_follows_the_choice_never_holds_more_than_the_bound(
    uses: list[tuple[int, int, bool]], bound: int
) -> None:
    residency: Residency[int] = Residency(bound)
    busy: set[int] = set()
    for model, size, stays_busy in uses:
        if model in residency:
            residency.touch(model, was_idle=model not in busy)
        elif residency.fits_at_all(size):
            residency.line_up(model, size)
            evicted = residency.to_evict(model, lambda key: key not in busy)
            if evicted is None:
                residency.drop(model)
                continue
            assert not busy & set(evicted)
            for key in evicted:
                residency.drop(key)
            residency.drop(model)  # it has left the line
            residency.hold(model, size)
        if stays_busy:
            busy.add(model)
        else:
            busy.discard(model)
        assert residency.held_bytes <= bound
