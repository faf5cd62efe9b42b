"""`python -m nerve.tether MODULE GRACE_S`: runs a module as `python -m` does, tied to its starter.

A supervisor that is killed with SIGKILL cannot stop what it started. So the module's standard
input is a pipe whose other end only the supervisor holds: however the supervisor ends, the kernel
closes that end, and the read here returns. The module is then asked to drain and, after a bound,
ended.

Linux has prctl(PR_SET_PDEATHSIG) for this, but it must be called between fork and exec, where
Python promises nothing once the parent has threads (asyncio waits for children in threads), or
else after a parent may already be gone; and no other system has it.
"""

import os
import runpy
import signal
import sys
import threading
import time

_STDIN = 0
_FAILED = 1


def main() -> None:
    """Runs the module named on the command line, and leaves its name as the only argument."""
    module, grace_s = sys.argv[1], float(sys.argv[2])
    sys.argv = [module]
    threading.Thread(
        target=end_after_starter, args=(_STDIN, grace_s), name="tether", daemon=True
    ).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def end_after_starter(pipe: int, grace_s: float) -> None:
    """Waits until the other end of the pipe is closed, then ends this process.

    Args:
        pipe: file descriptor to read from.
        grace_s: time to drain in seconds before the process is ended without one.
    """
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(_FAILED)


if __name__ == "__main__":
    main()
