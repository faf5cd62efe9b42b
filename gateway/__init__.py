"""The HTTP service: checks a request, asks the inference service over gRPC, writes the answer."""

from typing import Final

VERSION: Final = "0.1.0"
