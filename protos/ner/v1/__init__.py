"""`ner.v1`: Nerve's own gRPC contract."""
