"""The user's side of the services: the `nerve` command."""

from typing import Final

VERSION: Final = "0.1.0"
