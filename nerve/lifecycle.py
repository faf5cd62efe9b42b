"""What the supervisor of the two services does next: a decision without processes or clocks.

    phase     event            next phase   actions
    STARTING  ready            SERVING      announce
    STARTING  start timed out  DRAINING     terminate the first that runs; exit 1
    STARTING,
    SERVING   stop asked       DRAINING     terminate the first that runs
    STARTING,
    SERVING   one has ended    DRAINING     terminate the other; exit 1
    DRAINING  one has ended    DRAINING     terminate the next; exit 1 unless it ended well
    DRAINING  drain timed out  DRAINING     kill that one; exit 1
    DRAINING  stop asked       KILLING      kill all that run; exit 130
    KILLING   one has ended    KILLING

Whatever is not in the table changes nothing. The supervisor ends when no service runs.
"""

import signal
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias, assert_never


class Service(Enum):
    """The services, in the order in which they are drained.

    The gateway first: the requests that it still answers need the inference service.
    """

    GATEWAY = "gateway"
    INFERENCE = "inference"


class Phase(Enum):
    """Where the supervisor stands."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    KILLING = "killing"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the supervisor knows.

    Attributes:
        phase: where it stands.
        running: services whose process has not ended, in the order of `Service`.
        draining: the one service that was asked to end and has not yet.
        exit_code: of the supervisor, once nothing runs.
    """

    phase: Phase = Phase.STARTING
    running: tuple[Service, ...] = tuple(Service)
    draining: Service | None = None
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """The gateway answers that it is ready, which it is only with the inference service."""


@dataclass(frozen=True, slots=True)
class StartTimedOut:
    """The services were not ready in time."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Ctrl-C or SIGTERM."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The process of a service has ended; a negative code is the signal that ended it."""

    service: Service
    code: int


@dataclass(frozen=True, slots=True)
class DrainTimedOut:
    """A service that was asked to end is still there."""

    service: Service


Event: TypeAlias = Ready | StartTimedOut | StopAsked | Ended | DrainTimedOut


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell where the services listen."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell what happened.

    Attributes:
        failure: whether it belongs on standard error.
    """

    line: str
    failure: bool = True


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask a service to drain and end."""

    service: Service


@dataclass(frozen=True, slots=True)
class Kill:
    """End a service at once."""

    service: Service


Action: TypeAlias = Announce | Say | Terminate | Kill


@dataclass(frozen=True, slots=True)
class Step:
    """The situation after an event, with what to do about it, in order."""

    situation: Situation
    actions: tuple[Action, ...] = ()


_FAILED = 1
# 128 + SIGINT, as a shell reports a command that Ctrl-C has ended.
_INTERRUPTED = 130


def decide(situation: Situation, event: Event) -> Step:
    """Decides by the table above.

    Args:
        situation: before the event.
        event: what happened.

    Returns:
        The situation after the event, with what to do.
    """
    match event:
        case Ready():
            step = _on_ready(situation)
        case StartTimedOut(timeout_s):
            step = _on_start_timeout(situation, timeout_s)
        case StopAsked():
            step = _on_stop(situation)
        case Ended(service, code):
            step = _on_end(situation, service, code)
        case DrainTimedOut(service):
            step = _on_drain_timeout(situation, service)
        case _:
            assert_never(event)
    return step


def describe_end(code: int) -> str:
    """Says how a process ended.

    Args:
        code: its exit code, or the negative number of the signal that ended it.
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _on_ready(situation: Situation) -> Step:
    if situation.phase is not Phase.STARTING:
        return Step(situation)
    return Step(replace(situation, phase=Phase.SERVING), (Announce(),))


def _on_start_timeout(situation: Situation, timeout_s: float) -> Step:
    if situation.phase is not Phase.STARTING:
        return Step(situation)
    line = f"not ready within {timeout_s:g} s: the log says how far the services came; stopping"
    return _drain_next(replace(situation, exit_code=_FAILED), Say(line))


def _on_stop(situation: Situation) -> Step:
    if situation.phase is Phase.KILLING:
        return Step(situation)
    if situation.phase is Phase.DRAINING:
        kills = tuple(Kill(service) for service in situation.running)
        after = replace(situation, phase=Phase.KILLING, exit_code=_INTERRUPTED)
        return Step(after, (Say("ending at once"), *kills))
    line = "draining: running requests are answered; Ctrl-C again ends at once"
    return _drain_next(situation, Say(line, failure=False))


def _on_end(situation: Situation, service: Service, code: int) -> Step:
    running = tuple(other for other in situation.running if other is not service)
    draining = None if situation.draining is service else situation.draining
    after = replace(situation, running=running, draining=draining)
    how = f"{service.value} {describe_end(code)}"
    if situation.phase is Phase.KILLING:
        return Step(after)
    if situation.phase is not Phase.DRAINING:
        when = " before it was ready" if situation.phase is Phase.STARTING else ""
        others = "".join(f"; stopping {other.value}" for other in running)
        line = f"{how}{when}, its last log lines say why{others}"
        return _drain_next(replace(after, exit_code=_FAILED), Say(line))
    # SIGTERM ends a process that does not serve yet, by itself or by a handler: nothing was lost.
    if code in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
        return _drain_next(after)
    return _drain_next(replace(after, exit_code=_FAILED), Say(f"{how} while draining"))


def _on_drain_timeout(situation: Situation, service: Service) -> Step:
    if situation.phase is not Phase.DRAINING or situation.draining is not service:
        return Step(situation)
    line = f"{service.value} did not drain in time; killing it"
    return Step(replace(situation, exit_code=_FAILED), (Say(line), Kill(service)))


def _drain_next(situation: Situation, *first: Action) -> Step:
    """Asks the next running service to end, unless one is about to."""
    after = replace(situation, phase=Phase.DRAINING)
    if after.draining is not None or not after.running:
        return Step(after, first)
    service = after.running[0]
    return Step(replace(after, draining=service), (*first, Terminate(service)))
