"""What may be in memory at once."""

from hypothesis import given
from hypothesis import strategies as st

from inference.residency import Residency


def test_the_least_recently_used_makes_room() -> None:
    residency: Residency[str] = Residency(100)
    for name in ("a", "b", "c"):
        residency.hold(name, 30)
    residency.touch("a")
    assert residency.to_evict(10, lambda _: True) == []
    assert residency.to_evict(20, lambda _: True) == ["b"]
    assert residency.to_evict(50, lambda _: True) == ["b", "c"]


def test_what_is_in_use_stays() -> None:
    residency: Residency[str] = Residency(100)
    residency.hold("a", 50)
    residency.hold("b", 50)
    assert residency.to_evict(20, lambda name: name != "a") == ["b"]
    assert residency.to_evict(60, lambda name: name != "a") is None


def test_without_a_bound_everything_fits() -> None:
    residency: Residency[str] = Residency(0)
    residency.hold("a", 10**12)
    assert residency.fits_at_all(10**15)
    assert residency.to_evict(10**15, lambda _: True) == []


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
            residency.touch(model)
        elif residency.fits_at_all(size):
            evicted = residency.to_evict(size, lambda key: key not in busy)
            if evicted is None:
                continue
            assert not busy & set(evicted)
            for key in evicted:
                residency.drop(key)
            residency.hold(model, size)
        if stays_busy:
            busy.add(model)
        else:
            busy.discard(model)
        assert residency.held_bytes <= bound
