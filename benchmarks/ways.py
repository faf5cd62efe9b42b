"""The ways in: how texts become calls, and what an answer says, for REST and gRPC."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from google.protobuf.message_factory import GetMessageClass

from benchmarks import grpc_client, http1
from benchmarks.http1 import Http1Connection
from benchmarks.protocol import Call, ClientConnection
from protos.ner.v1 import entity_recognizer_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["EntityRecognizer"]
_STREAM_METHOD = "RecognizeStream"
_PRIORITY = "priority"
_REST_OK = frozenset({200})
_GRPC_OK = frozenset({grpc_client.OK})


class Way(StrEnum):
    """A protocol and a method."""

    REST = "REST"
    GRPC = "gRPC"
    STREAM = "gRPC stream"


@dataclass(frozen=True, slots=True)
class Found:
    """An entity of an answer."""

    text: str
    label: str
    start: int  # code points
    end: int


@dataclass(frozen=True, slots=True)
class Answered:
    """One text of a call, with what came back for it."""

    text: str
    entities: list[Found]


class Codec(Protocol):
    """Turns texts into calls and answers into entities."""

    def connect(self) -> ClientConnection:
        """Makes the client's end of a connection."""

    def call(self, texts: Sequence[str], *, bulk: bool) -> Call:
        """Encodes a call; `bulk` marks it as work that may wait, where the service knows that."""

    def answered(self, call: Call, body: bytes) -> list[Answered]:
        """Reads an answer; raises ValueError when it is none, or not for every text."""


def codec(way: Way, authority: str, *, bulk_is_known: bool = False) -> Codec:
    """The codec of a way.

    Args:
        way: the way.
        authority: `host:port`.
        bulk_is_known: whether the gateway's schema has the field `priority`.
    """
    if way is Way.REST:
        return Rest(authority, bulk_is_known=bulk_is_known)
    return GrpcStream(authority) if way is Way.STREAM else Grpc(authority)


def stream_exists() -> bool:
    """Whether the contract has the method of the stream scenario."""
    return _STREAM_METHOD in _SERVICE.methods_by_name


class Rest:
    """`POST /v1/entities`: `text` for one text, `texts` for several.

    Args:
        authority: `host:port` of the gateway.
        bulk_is_known: whether a request may hold `priority`.
    """

    path = "/v1/entities"

    def __init__(self, authority: str, *, bulk_is_known: bool) -> None:
        self._authority = authority
        self._bulk_is_known = bulk_is_known

    def connect(self) -> ClientConnection:
        """One HTTP/1.1 connection."""
        return Http1Connection()

    def call(self, texts: Sequence[str], *, bulk: bool) -> Call:
        """Encodes a call."""
        body: dict[str, object] = {"text": texts[0]} if len(texts) == 1 else {"texts": list(texts)}
        if bulk and self._bulk_is_known:
            body[_PRIORITY] = "bulk"
        encoded = json.dumps(body, ensure_ascii=False).encode()
        return Call(http1.encode(self._authority, self.path, encoded), _REST_OK, len(texts))

    def answered(self, call: Call, body: bytes) -> list[Answered]:
        """Reads an answer."""
        asked = json.loads(call.wire.partition(b"\r\n\r\n")[2])
        texts = [asked["text"]] if "text" in asked else asked["texts"]
        answer = json.loads(body)
        results = [answer] if "text" in asked else answer["results"]
        return [
            Answered(
                text,
                [Found(e["text"], e["label"], e["start"], e["end"]) for e in result["entities"]],
            )
            for text, result in zip(texts, results, strict=True)
        ]


class Grpc:
    """`Recognize`.

    Args:
        authority: `host:port` of the inference service.
    """

    def __init__(self, authority: str) -> None:
        self._authority = authority

    def connect(self) -> ClientConnection:
        """One HTTP/2 connection."""
        path = f"/{_SERVICE.full_name}/Recognize"
        return grpc_client.UnaryConnection(self._authority, path)

    def call(self, texts: Sequence[str], *, bulk: bool) -> Call:
        """Encodes a call."""
        request = pb.RecognizeRequest(texts=texts)
        priority = pb.RecognizeOptions.DESCRIPTOR.fields_by_name.get(_PRIORITY)
        if bulk and priority is not None and priority.enum_type is not None:
            setattr(request.options, _PRIORITY, priority.enum_type.values_by_name["BULK"].number)
        return Call(grpc_client.encode(request.SerializeToString()), _GRPC_OK, len(texts))

    def answered(self, call: Call, body: bytes) -> list[Answered]:
        """Reads an answer."""
        texts = pb.RecognizeRequest.FromString(call.wire[5:]).texts
        answer = pb.RecognizeResponse.FromString(body)
        return [_answered(text, one) for text, one in zip(texts, answer.results, strict=True)]


class GrpcStream:
    """Messages of `RecognizeStream`, by descriptors: a contract may lack it.

    Args:
        authority: `host:port` of the inference service.
    """

    def __init__(self, authority: str) -> None:
        self._authority = authority
        method = _SERVICE.methods_by_name[_STREAM_METHOD]
        self._request = GetMessageClass(method.input_type)
        self._response = GetMessageClass(method.output_type)

    def connect(self) -> ClientConnection:
        """One HTTP/2 connection with one stream."""
        path = f"/{_SERVICE.full_name}/{_STREAM_METHOD}"
        return grpc_client.StreamConnection(self._authority, path)

    def call(self, texts: Sequence[str], *, bulk: bool) -> Call:
        """Encodes an item; a stream has its priority from its first message, so `bulk` is void."""
        (text,) = texts
        message: Any = self._request()
        message.item.text = text
        return Call(grpc_client.encode(message.SerializeToString()), _GRPC_OK)

    def answered(self, call: Call, body: bytes) -> list[Answered]:
        """Reads an answer."""
        message: Any = self._request()
        message.MergeFromString(call.wire[5:])
        answer: Any = self._response()
        answer.MergeFromString(body)
        return [_answered(message.item.text, answer.result)]


def _answered(text: str, result: pb.TextResult) -> Answered:
    if result.HasField("error"):
        raise ValueError("a text was answered with an error")
    found = [Found(e.text, e.label, e.start, e.end) for e in result.entities.entities]
    return Answered(text, found)
