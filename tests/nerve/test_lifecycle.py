"""The decisions of the supervisor, without a process."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.lifecycle import (
    Announce,
    DrainTimedOut,
    Ended,
    Event,
    Kill,
    Phase,
    Ready,
    Say,
    Service,
    Situation,
    StartTimedOut,
    Step,
    StopAsked,
    Terminate,
    decide,
    describe_end,
)

GATEWAY, INFERENCE = Service.GATEWAY, Service.INFERENCE
SERVING = Situation(Phase.SERVING)
DRAINING = Situation(Phase.DRAINING, draining=GATEWAY)


def orders(step: Step) -> tuple[object, ...]:
    """The actions of a step that are not words."""
    return tuple(action for action in step.actions if not isinstance(action, Say))


def words(step: Step) -> str:
    """What a step says, in one string."""
    return "\n".join(action.line for action in step.actions if isinstance(action, Say))


def test_readiness_is_announced_once() -> None:
    first = decide(Situation(), Ready())
    assert (first.situation, first.actions) == (SERVING, (Announce(),))
    assert decide(first.situation, Ready()).actions == ()


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.SERVING])
def test_one_stop_drains_the_gateway_first_then_inference_and_ends_well(phase: Phase) -> None:
    asked = decide(Situation(phase), StopAsked())
    assert orders(asked) == (Terminate(GATEWAY),)
    gateway_gone = decide(asked.situation, Ended(GATEWAY, 0))
    assert orders(gateway_gone) == (Terminate(INFERENCE),)
    both_gone = decide(gateway_gone.situation, Ended(INFERENCE, 0))
    assert both_gone.actions == ()
    assert (both_gone.situation.running, both_gone.situation.exit_code) == ((), 0)


def test_a_second_stop_kills_what_still_runs() -> None:
    step = decide(DRAINING, StopAsked())
    assert orders(step) == (Kill(GATEWAY), Kill(INFERENCE))
    assert (step.situation.phase, step.situation.exit_code) == (Phase.KILLING, 130)
    only_inference = replace(DRAINING, running=(INFERENCE,), draining=INFERENCE)
    assert orders(decide(only_inference, StopAsked())) == (Kill(INFERENCE),)


def test_a_third_stop_changes_nothing() -> None:
    killing = decide(DRAINING, StopAsked()).situation
    assert decide(killing, StopAsked()) == Step(killing)


@pytest.mark.parametrize("dead", Service)
@pytest.mark.parametrize("code", [0, 1, -9])
def test_when_one_ends_the_other_is_stopped_and_the_exit_code_is_not_0(
    dead: Service, code: int
) -> None:
    """Also an end with code 0 is a failure when nobody asked for it."""
    other = INFERENCE if dead is GATEWAY else GATEWAY
    step = decide(SERVING, Ended(dead, code))
    assert orders(step) == (Terminate(other),)
    assert f"{dead.value} {describe_end(code)}" in words(step)
    assert f"stopping {other.value}" in words(step)
    end = decide(step.situation, Ended(other, 0)).situation
    assert (end.running, end.exit_code) == ((), 1)


def test_an_end_before_readiness_is_said_to_be_one() -> None:
    step = decide(Situation(), Ended(INFERENCE, 1))
    assert "inference ended with exit code 1 before it was ready" in words(step)


def test_services_that_are_not_ready_in_time_are_stopped() -> None:
    step = decide(Situation(), StartTimedOut(2.5))
    assert orders(step) == (Terminate(GATEWAY),)
    assert "not ready within 2.5 s" in words(step)
    assert step.situation.exit_code == 1
    assert decide(SERVING, StartTimedOut(2.5)) == Step(SERVING)


def test_a_service_that_does_not_drain_is_killed_and_the_next_is_drained() -> None:
    late = decide(DRAINING, DrainTimedOut(GATEWAY))
    assert orders(late) == (Kill(GATEWAY),)
    assert "gateway did not drain in time" in words(late)
    killed = decide(late.situation, Ended(GATEWAY, -9))
    assert orders(killed) == (Terminate(INFERENCE),)
    assert decide(killed.situation, Ended(INFERENCE, 0)).situation.exit_code == 1


def test_the_drain_timeout_of_a_service_that_has_ended_changes_nothing() -> None:
    inference_drains = replace(DRAINING, running=(INFERENCE,), draining=INFERENCE)
    assert decide(inference_drains, DrainTimedOut(GATEWAY)) == Step(inference_drains)


def test_a_service_that_fails_while_draining_spoils_the_exit_code() -> None:
    step = decide(DRAINING, Ended(GATEWAY, 1))
    assert "gateway ended with exit code 1 while draining" in words(step)
    assert step.situation.exit_code == 1


@pytest.mark.parametrize("code", [-15, 143])
def test_a_service_ended_by_sigterm_before_it_served_has_ended_well(code: int) -> None:
    step = decide(DRAINING, Ended(GATEWAY, code))
    assert (words(step), step.situation.exit_code) == ("", 0)


def test_inference_that_dies_while_the_gateway_drains_does_not_ask_the_gateway_again() -> None:
    """A second SIGTERM would make it drop the requests that it still answers."""
    step = decide(DRAINING, Ended(INFERENCE, -11))
    assert orders(step) == ()
    assert (step.situation.draining, step.situation.exit_code) == (GATEWAY, 1)


def test_the_end_of_a_process_is_described() -> None:
    assert describe_end(2) == "ended with exit code 2"
    assert describe_end(-9) == "was ended by SIGKILL"
    assert describe_end(-250) == "was ended by signal 250"


SERVICES = st.sampled_from(Service)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Ready()),
    st.just(StartTimedOut(1)),
    st.just(StopAsked()),
    st.builds(DrainTimedOut, SERVICES),
    st.builds(Ended, SERVICES, st.sampled_from([0, 1, -9, -15])),
)


@given(st.lists(EVENTS, max_size=12))
def test_whatever_happens_nothing_is_asked_twice_and_nothing_is_left_to_itself(
    events: list[Event],
) -> None:
    """A process ends once; each that runs after the first trouble is or will be told to end."""
    situation = Situation()
    asked: set[Service] = set()
    for event in events:
        if isinstance(event, Ended) and event.service not in situation.running:
            continue
        step = decide(situation, event)
        for action in step.actions:
            if isinstance(action, Terminate):
                assert action.service not in asked
                asked.add(action.service)
            if isinstance(action, Terminate | Kill):
                assert action.service in step.situation.running
        situation = step.situation
        if situation.phase is Phase.DRAINING and situation.running:
            assert situation.draining in situation.running
        if not situation.running:
            assert situation.phase in (Phase.DRAINING, Phase.KILLING)
            break
