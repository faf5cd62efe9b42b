"""The gRPC services, each a translation between a protocol and the engine."""
