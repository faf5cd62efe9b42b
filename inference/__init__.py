"""The inference service: texts in over gRPC, entities out of an ONNX model on CPU cores."""
