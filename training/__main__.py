"""The command `python -m training`."""

import logging
import sys
from collections.abc import Sequence

from training.command_line import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the command line; None: the process's own.

    Returns:
        The exit status, of `training.dispatch.run`.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(words)
    from training.dispatch import run  # torch takes seconds: only for arguments that are right

    return run(options, words)


if __name__ == "__main__":
    sys.exit(main())
