"""Processes that stand still."""

import signal
import time

import psutil

_INTERVAL_S = 0.01


def stop(process: psutil.Process) -> None:
    """Stops a process, and waits until it is: one that has yet to wake up would read on."""
    process.send_signal(signal.SIGSTOP)
    while process.status() != psutil.STATUS_STOPPED:
        time.sleep(_INTERVAL_S)
