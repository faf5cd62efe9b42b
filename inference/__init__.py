"""The inference service: texts in over gRPC, entities out of an ONNX model on CPU cores."""

from typing import Final

VERSION: Final = "0.1.0"
