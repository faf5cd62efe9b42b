"""Silence while onnxruntime's quantizers run: they print, and log a line a tensor at the root."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet_quantizer() -> Iterator[None]:
    """Lets nothing but errors through."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
