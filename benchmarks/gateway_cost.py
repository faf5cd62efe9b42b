"""`python -m benchmarks.gateway_cost`: what one request costs the gateway's own code.

Without sockets and without a model: the composed app is called with ASGI messages, and the
inference service is an answer that is ready. What is left is the layers, the route, validation,
protobuf and the answer; not the HTTP parser, not gRPC.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop
from starlette.types import ASGIApp, Message, Scope

from credentials.keys import digest_of, new_key
from gateway.app import create_app
from gateway.client import InferenceClient
from gateway.settings import GatewaySettings
from protos.ner.v1 import entity_recognizer_pb2 as pb
from telemetry import garbage, logs

_BODY: Final = b'{"text": "Angela Merkel visited Seoul because the train from Paris was late."}'
_ENTITIES: Final = pb.Entities(
    entities=[
        pb.Entity(text="Angela Merkel", label="PER", start=0, end=13, score=0.997),
        pb.Entity(text="Seoul", label="LOC", start=22, end=27, score=0.986),
    ]
)
_CALLERS: Final = 32
_REQUESTS_EACH: Final = 2  # a run of some 3 ms: many of them meet nobody else on their core
_RUNS: Final = 250


class _ReadyAnswer(InferenceClient):
    """Answers every call at once, through the wire format."""

    async def recognize(
        self, request: pb.RecognizeRequest, timeout_s: float, request_id: str
    ) -> pb.RecognizeResponse:
        results = [pb.TextResult(entities=_ENTITIES)] * len(request.texts)
        response = pb.RecognizeResponse(model="ner-en", version="2", results=results)
        return pb.RecognizeResponse.FromString(response.SerializeToString())


async def _request(app: ASGIApp, key: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))]
    if key:
        headers.append((b"authorization", b"Bearer " + key))
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/entities",
        "raw_path": b"/v1/entities",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": _BODY, "more_body": False}

    async def send(message: Message) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"answered {message['status']}")

    await app(scope, receive, send)


async def _least_us(settings: GatewaySettings, key: bytes = b"") -> float:
    app = create_app(settings, _ReadyAnswer)
    least_s = float("inf")
    async with app.router.lifespan_context(app):

        async def caller() -> None:
            for _ in range(_REQUESTS_EACH):
                await asyncio.create_task(_request(app, key))

        garbage.set_apart()
        for _ in range(_RUNS):
            began_s = time.process_time()
            await asyncio.gather(*(caller() for _ in range(_CALLERS)))
            least_s = min(least_s, time.process_time() - began_s)
    return least_s / (_CALLERS * _REQUESTS_EACH) * 1e6


def _measure(*, with_keys: bool, with_limits: bool) -> float:
    often = 1e9 if with_limits else 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "keys.toml")
        key = new_key()
        path.write_text(f'[[keys]]\nid = "a"\nsha256 = "{digest_of(key).hex()}"\nmodels = "*"\n')
        settings = GatewaySettings(
            keys_file=path if with_keys else None,
            limit_requests_per_s=often,
            limit_texts_per_s=often,
            limit_chars_per_s=often,
            limit_concurrent=10**6 if with_limits else 0,
        )
        return uvloop.run(_least_us(settings, key.encode() if with_keys else b""))


def main() -> None:
    """Prints the least processor time of a request, in microseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway_cost", description=__doc__)
    parser.add_argument("--log-level", default="info", choices=logs.LEVELS)
    parser.add_argument("--keys", action="store_true", help="with a key in each request")
    parser.add_argument("--limits", action="store_true", help="with limits of every kind")
    options = parser.parse_args()
    logs.configure(options.log_level)
    with Path("/dev/null").open("w", buffering=1) as nowhere:
        shown, sys.stderr = sys.stderr, nowhere
        try:
            least_us = _measure(with_keys=options.keys, with_limits=options.limits)
        finally:
            sys.stderr = shown
    print(f"{least_us:.1f} us a request")


if __name__ == "__main__":
    main()
