"""What all tests share: how long properties and fuzzing are tried, and that Ctrl-C is heard."""

import signal

from hypothesis import settings

# The default has to fit into every run of the tests; `--hypothesis-profile=long`, as `make fuzz`
# has it, into a coffee break.
settings.register_profile("long", max_examples=5_000, deadline=None)


def pytest_configure() -> None:
    """Hears Ctrl-C where a script runs the tests in its background: what they start inherits it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
