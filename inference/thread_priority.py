"""The priority of the threads that run models."""

import os
import sys
import threading
from functools import cache

from telemetry import logs

_log = logs.get_logger(__name__)

# Under three times the peak the 99th percentile fell from 2.3 to 0.65 s with 5, and no further with
# 10 (`python -m benchmarks.overload`, docs/adr/0016).
_GIVES_WAY_BY = 5
_LEAST_PRIORITY = 19


def give_way() -> None:
    """Lowers the priority of this thread below that of the event loops on the same cores.

    Those need little, but while they wait for a core nobody is answered, and nobody is refused.

    Where the system forbids it, as a filter of system calls may, the priority stays as it is.
    """
    if sys.platform != "linux":  # elsewhere a priority is the whole process's
        return
    thread = threading.get_native_id()
    try:
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _GIVES_WAY_BY
        os.setpriority(os.PRIO_PROCESS, thread, min(niceness, _LEAST_PRIORITY))
    except OSError as error:
        _say_forbidden(error.strerror or str(error))


@cache  # said once, not for each thread
def _say_forbidden(reason: str) -> None:
    _log.warning("workers_cannot_give_way", reason=reason)
