"""Values of options on the command lines, checked."""

import argparse
import math
from typing import Final

# About eleven days: whoever waits longer means for ever, and timers of the system overflow.
_MOST_S: Final = 1e6


def seconds(value: str) -> float:
    """Reads a time in seconds, above 0.

    Raises:
        argparse.ArgumentTypeError: it is no number, or none that can be waited for.
    """
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not 0 < found <= _MOST_S:
        raise argparse.ArgumentTypeError(
            f"must be a number of seconds above 0, and {_MOST_S:,.0f} at most"
        )
    return found
