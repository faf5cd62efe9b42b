"""The options of the commands that ask teachers."""

import argparse
from pathlib import Path


def teachers_parser() -> argparse.ArgumentParser:
    """The options, as a parent of the parsers that take them."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--teachers", nargs="+", required=True, metavar="RUN", help="trained checkpoints"
    )
    parser.add_argument("--bfloat16", action="store_true", help="multiply in bfloat16")
    parser.add_argument("--threads", type=int, default=2, help="cores to use")
    parser.set_defaults(run=Path(), models=Path())
    return parser
