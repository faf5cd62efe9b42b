"""How long properties and fuzzing are tried: `--hypothesis-profile=long` for `make fuzz`."""

from hypothesis import settings

# The default has to fit into every run of the tests; `long` into a coffee break.
settings.register_profile("long", max_examples=5_000, deadline=None)
