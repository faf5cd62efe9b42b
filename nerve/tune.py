"""`python -m nerve tune`: how inference would share this machine's cores, and what it tried."""

import subprocess
import sys


def tune() -> int:
    """Lets the service calibrate in a process of its own, so that it alone imports the model.

    Returns:
        The exit code: 2 where a setting or the models cannot be used.
    """
    command = [sys.executable, "-m", "inference.calibration"]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - nothing is the user's
