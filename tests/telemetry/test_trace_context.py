import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.trace_context import TraceContext, parse

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_SPAN = "00f067aa0ba902b7"


@given(
    st.builds(
        TraceContext,
        st.integers(1, 2**128 - 1),
        st.integers(1, 2**64 - 1),
        st.booleans(),
    )
)
def test_what_is_written_is_read_again(context: TraceContext) -> None:
    assert parse(context.header) == context


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"ff-{_TRACE}-{_SPAN}-01",  # a forbidden version
        f"00-{'0' * 32}-{_SPAN}-01",
        f"00-{_TRACE}-{'0' * 16}-01",
        f"00-{_TRACE.upper()}-{_SPAN}-01",
        f"00-{_TRACE}-{_SPAN}-01-more",  # version 00 has no more
        f"00-{_TRACE}-{_SPAN}-01\n",
    ],
)
def test_a_parent_that_is_none_begins_a_new_trace(header: str | None) -> None:
    assert parse(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    context = parse(f"cc-{_TRACE}-{_SPAN}-09-what-comes-then", "vendor=1")
    assert context is not None
    assert (context.trace, context.sampled, context.state) == (_TRACE, True, "vendor=1")


@pytest.mark.parametrize("state", [None, "", "a=1\r\nx: y", "a" * 513, "a=é"])
def test_a_state_that_cannot_be_carried_is_dropped(state: str | None) -> None:
    context = parse(f"00-{_TRACE}-{_SPAN}-00", state)
    assert context is not None
    assert not context.sampled
    assert context.state == ""
