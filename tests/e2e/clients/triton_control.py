"""Unloads and loads a model of a running Nerve by NVIDIA's `tritonclient`, over REST and gRPC."""

import json
import sys
from typing import Any

import tritonclient.grpc
import tritonclient.http


def _in_turns(client: Any, model: str) -> list[bool]:
    """Whether the model is ready at first, after it was unloaded, and after it was loaded."""
    seen = [client.is_model_ready(model)]
    client.unload_model(model)
    seen.append(client.is_model_ready(model))
    client.load_model(model)
    seen.append(client.is_model_ready(model))
    return seen


def main() -> None:
    """Does it with both."""
    asked = json.load(sys.stdin)
    with (
        tritonclient.http.InferenceServerClient(asked["http"]) as http,
        tritonclient.grpc.InferenceServerClient(asked["grpc"]) as grpc,
    ):
        clients = {"http": http, "grpc": grpc}
        seen = {kind: _in_turns(client, asked["model"]) for kind, client in clients.items()}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
