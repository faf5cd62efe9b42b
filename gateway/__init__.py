"""The HTTP service: checks a request, asks the inference service over gRPC, writes the answer."""
