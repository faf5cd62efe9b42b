"""The calls of a soak: most are right, and the rest is what callers do wrong.

Each call knows which answers are right for it; a caller that goes away expects none.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks import grpc_client, http1
from benchmarks.corpus import mixed, sentences
from benchmarks.protocol import Call
from benchmarks.ways import Rest, Way, codec
from protos.ner.v1 import entity_recognizer_pb2 as pb

# Sentences mostly, so that 100,000 calls are a matter of minutes.
_MIXED_SHARE = 0.15
_LEAVES_WITHIN_MS = 10.0
# One more than the default limit of characters in a text.
_TOO_LONG = 200_001
_SHORT_DEADLINE_MS = 1

_Maker = Callable[[random.Random, str], Call]


def calls(way: Way, authority: str, count: int, seed: int) -> list[Call]:
    """Makes calls to one of the services.

    Args:
        way: REST or gRPC.
        authority: `host:port`.
        count: how many.
        seed: the same seed gives the same calls.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    long_count = int(count * _MIXED_SHARE)
    texts = mixed(long_count, seed) + sentences(count - long_count, seed)
    chance.shuffle(texts)
    makers = _rest(authority) if way is Way.REST else _grpc(authority)
    chosen = chance.choices(
        [maker for maker, _ in makers], [weight for _, weight in makers], k=count
    )
    return [make(chance, text) for make, text in zip(chosen, texts, strict=True)]


def _rest(authority: str) -> Sequence[tuple[_Maker, int]]:
    rest = Rest(authority, bulk_is_known=False)

    def plain(text: str) -> Call:
        return rest.call([text], bulk=False)

    def body(content: object, status: int) -> Call:
        return raw(json.dumps(content).encode(), status)

    def raw(content: bytes, *statuses: int, path: str = rest.path, extra: str = "") -> Call:
        wire = http1.encode(authority, path, content, extra)
        return Call(wire, frozenset(statuses), is_checked=False)

    def cut(chance: random.Random, text: str) -> Call:
        call = plain(text)
        return _leaving(chance, replace(call, wire=call.wire[: len(call.wire) - len(text) // 2]))

    def hurried(_: random.Random, text: str) -> Call:
        extra = f"x-request-timeout-ms: {_SHORT_DEADLINE_MS}\r\n"
        return raw(json.dumps({"text": text}).encode(), 200, 504, extra=extra)

    return (
        (lambda _, text: plain(text), 70),
        (lambda _, text: rest.call([text] * 4, bulk=False), 2),
        (lambda chance, text: _leaving(chance, plain(text)), 7),
        (cut, 3),
        (hurried, 5),
        (lambda _, __: body({"text": ""}, 422), 3),
        (lambda _, __: body({"text": "a" * _TOO_LONG}, 422), 1),
        (lambda _, text: raw(text.encode(), 400), 3),
        (lambda _, text: body({"text": text, "model": "unknown"}, 404), 3),
        (lambda _, text: body({"text": text, "labels": ["?"]}, 422), 1),
        (lambda _, text: body({"texts": text}, 422), 1),
        (lambda _, text: raw(json.dumps({"text": text}).encode(), 404, path="/v1/nothing"), 1),
    )


def _grpc(authority: str) -> Sequence[tuple[_Maker, int]]:
    grpc = codec(Way.GRPC, authority)
    ok, unknown, invalid, deadline, not_found = grpc_client.OK, 2, 3, 4, 5

    def plain(text: str) -> Call:
        return grpc.call([text], bulk=False)

    def request(status: int, *texts: str, model: str = "", labels: Sequence[str] = ()) -> Call:
        options = pb.RecognizeOptions(labels=labels)
        message = pb.RecognizeRequest(texts=texts, model=model, options=options)
        return raw(message.SerializeToString(), status)

    def raw(message: bytes, status: int) -> Call:
        return Call(grpc_client.encode(message), frozenset({status}), is_checked=False)

    def hurried(_: random.Random, text: str) -> Call:
        return replace(
            plain(text),
            accepts=frozenset({ok, deadline}),
            extra_headers=grpc_client.timeout_field(_SHORT_DEADLINE_MS),
            is_checked=False,
        )

    return (
        (lambda _, text: plain(text), 70),
        (lambda _, text: request(ok, text, "", text), 2),
        (lambda chance, text: _leaving(chance, plain(text)), 8),
        (lambda chance, text: replace(_leaving(chance, plain(text)), hangs_up=True), 3),
        (hurried, 6),
        (lambda _, __: request(ok, ""), 3),
        (lambda _, __: request(ok, "a" * _TOO_LONG), 1),
        # grpcio itself answers what is no protobuf, with UNKNOWN.
        (lambda _, __: raw(b"\xff\xff", unknown), 2),
        (lambda _, text: request(not_found, text, model="unknown"), 3),
        (lambda _, text: request(invalid, text, labels=["?"]), 1),
        (lambda _, __: request(invalid), 1),
    )


def _leaving(chance: random.Random, call: Call) -> Call:
    leave_after_ms = chance.uniform(0, _LEAVES_WITHIN_MS)
    return replace(call, leave_after_ms=leave_after_ms, is_checked=False)
