"""The benchmark's own gRPC client gets what grpc's gets, from the real service."""

import time
from collections.abc import Sequence

import grpc
import pytest

from benchmarks import grpc_client
from benchmarks.answers import faults
from benchmarks.corpus import mixed, sentences
from benchmarks.driver import Driver
from benchmarks.protocol import Call
from benchmarks.recorder import Recorder
from benchmarks.schedule import ClosedLoop
from benchmarks.services import Services
from benchmarks.ways import Answered, Codec, Found, Way, codec, stream_exists
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub

pytestmark = pytest.mark.timeout(120)

_SEED = 3
_HOUR_NS = 3_600_000_000_000


class _EveryAnswer(Recorder):
    """Keeps all answers, not some."""

    def wants_sample(self) -> bool:
        return True

    def sample(self, call: Call, body: bytes) -> None:
        self.samples.append((call, body))


def _answers(services: Services, way: Way, calls: Sequence[Call], connections: int) -> Recorder:
    recorder = _EveryAnswer()
    ways, (host, port) = _codec(services, way), _authority(services, way).split(":")
    with Driver((host, int(port)), ways.connect, connections) as driver:
        end_ns = time.perf_counter_ns() + _HOUR_NS
        driver.run(calls, ClosedLoop(end_ns, len(calls)), recorder, patience_s=60)
    return recorder


def _authority(services: Services, way: Way) -> str:
    return services.rest_authority if way is Way.REST else services.grpc_authority


def _codec(services: Services, way: Way) -> Codec:
    return codec(way, _authority(services, way))


def _by_grpc(services: Services, texts: Sequence[str]) -> list[Answered]:
    with grpc.insecure_channel(services.grpc_authority) as channel:
        response = EntityRecognizerStub(channel).Recognize(pb.RecognizeRequest(texts=texts))
    return [
        Answered(text, [Found(e.text, e.label, e.start, e.end) for e in result.entities.entities])
        for text, result in zip(texts, response.results, strict=True)
    ]


_SINGLE = [Way.GRPC, Way.REST, *([Way.STREAM] if stream_exists() else [])]


@pytest.mark.parametrize("way", _SINGLE)
def test_single_texts_are_answered_as_by_grpc(services: Services, way: Way) -> None:
    texts = sentences(60, _SEED)
    ways = _codec(services, way)
    recorder = _answers(services, way, [ways.call([text], bulk=False) for text in texts], 8)
    answered = [one for sample in recorder.samples for one in ways.answered(*sample)]
    assert not recorder.failures
    assert sorted(answered, key=lambda one: one.text) == sorted(
        _by_grpc(services, texts), key=lambda one: one.text
    )
    assert faults(answered) == []


@pytest.mark.parametrize("way", [Way.GRPC, Way.REST])
def test_a_call_larger_than_the_windows_of_http2_is_answered_as_by_grpc(
    services: Services, way: Way
) -> None:
    """More than the 65,535 bytes that a peer takes at first; spaces make bytes and no work."""
    texts = [text + " " * 4_000 for text in mixed(20, _SEED)]
    ways = _codec(services, way)
    call = ways.call(texts, bulk=True)
    assert len(call.wire) > 65_535
    recorder = _answers(services, way, [call], 1)
    assert not recorder.failures
    for sample in recorder.samples:
        assert ways.answered(*sample) == _by_grpc(services, texts)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.RecognizeRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.RecognizeRequest(texts=["a"], model="none"), grpc.StatusCode.NOT_FOUND),
    ],
)
def test_a_call_that_fails_has_the_status_that_grpc_sees(
    services: Services, request_: pb.RecognizeRequest, code: grpc.StatusCode
) -> None:
    wire = grpc_client.encode(request_.SerializeToString())
    number: int = code.value[0]
    right = _answers(services, Way.GRPC, [Call(wire, frozenset({number}))] * 3, 1)
    wrong = _answers(services, Way.GRPC, [Call(wire, frozenset({grpc_client.OK}))] * 3, 1)
    assert not right.failures
    assert wrong.failures == {number: 3}


def test_a_deadline_of_a_millisecond_passes(services: Services) -> None:
    text = " ".join(mixed(200, _SEED))
    call = Call(
        grpc_client.encode(pb.RecognizeRequest(texts=[text]).SerializeToString()),
        frozenset({4}),
        extra_headers=grpc_client.timeout_field(1),
    )
    recorder = _answers(
        services, Way.GRPC, [_codec(services, Way.GRPC).call(["a"], bulk=False), call], 1
    )
    assert recorder.ended == 2
    assert not recorder.failures
