"""The priority of the threads that run models."""

import os
import sys
import threading

# Under three times the peak the 99th percentile fell from 2.3 to 0.65 s with 5, and no further with
# 10 (`python -m benchmarks.overload`, docs/adr/0016).
_GIVES_WAY_BY = 5
_LEAST_PRIORITY = 19


def give_way() -> None:
    """Lowers the priority of this thread below that of the event loops on the same cores.

    Those need little, but while they wait for a core nobody is answered, and nobody is refused.
    """
    if sys.platform == "linux":  # elsewhere a priority is the whole process's
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _GIVES_WAY_BY
        os.setpriority(os.PRIO_PROCESS, thread, min(niceness, _LEAST_PRIORITY))
