"""`python -m nerve tune`: how inference would share this machine's cores, and what it tried."""

import subprocess
import sys


def tune() -> int:
    """Lets the service calibrate in a process of its own, so that it alone imports the model.

    Returns:
        The exit code: 2 where a setting or the models cannot be used.

    Raises:
        KeyboardInterrupt: Ctrl-C; the process has been ended.
    """
    command = [sys.executable, "-m", "inference.calibration"]
    # In a session of its own, so that Ctrl-C reaches this process alone: while the other still
    # imports, it could only answer with a traceback.
    done = subprocess.run(command, check=False, start_new_session=True)  # noqa: S603 - not the user's
    return done.returncode
