"""`python -m benchmarks.stages`: processor time of each stage of a call in the inference service.

Each stage is run alone, in a loop, in a warm cache; beside the model runs of a busy service each
costs up to twice that. gRPC is a server with an empty handler in a process of its own.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import psutil
import uvloop
from numpy.typing import NDArray

from benchmarks import corpus
from inference.core import RecognizeAnswer, Timings
from inference.metrics import Metrics
from inference.repository import Repository
from inference.servicers.entity_recognizer import query_of, response_of
from protos.ner.v1 import entity_recognizer_pb2 as pb
from telemetry import logs

_ROOT = Path(__file__).parent.parent
_SENTENCES = 1_000
_SEED = 20261124
_ROUNDS = 3
_CALLS = 5_000
_BATCH = 8
_EMPTY = "empty"
_METHOD = "/ner.v1.EntityRecognizer/Recognize"
_TIMINGS = Timings(50_000, 9_000_000, 9_000_000, 30_000)  # a busy service's, in nanoseconds
Ids = NDArray[np.int64]
T = TypeVar("T")


def main() -> None:
    """Measures every stage and prints the table."""
    if sys.argv[1:] == [_EMPTY]:
        uvloop.run(_serve_nothing())
        return
    logs.configure("warning")
    print(f"{'stage':34} CPU us/sentence")
    for name, cost_us in {**_grpc_us(), **_stages_us()}.items():
        print(f"{name:34} {cost_us:8.1f}")


def _stages_us() -> dict[str, float]:
    model = Repository.load(_ROOT / "models", "", window_tokens=128, threads=1).get("", "")
    texts = corpus.sentences(_SENTENCES, _SEED)
    sent = [pb.RecognizeRequest(texts=[text]).SerializeToString() for text in texts]
    tokenized = [model.tokenizer.tokenize(text) for text in texts]
    ids = [text.windows[0].ids for text in tokenized]
    in_order = sorted(ids, key=len)
    batches = [_padded(in_order[i : i + _BATCH]) for i in range(0, _SENTENCES, _BATCH)]
    alone = [_padded([row]) for row in ids]
    logits = [model.session.run(*one)[0] for one in alone]
    scored = list(zip(tokenized, logits, strict=True))
    answers = [
        RecognizeAnswer("ner-en", "2", [model.decoder.decode(text, [rows])], _TIMINGS)
        for text, rows in scored
    ]
    return {
        "parse the request": _cost_us(lambda x: query_of(pb.RecognizeRequest.FromString(x)), sent),
        "tokenize": _cost_us(model.tokenizer.tokenize, texts),
        "run, alone": _cost_us(lambda one: model.session.run(*one), alone),
        "run, 8 of near-equal length": _cost_us(lambda b: model.session.run(*b), batches) / _BATCH,
        "decode": _cost_us(lambda pair: model.decoder.decode(pair[0], [pair[1]]), scored),
        "count": _cost_us(partial(_count, Metrics()), answers),
        "build the reply": _cost_us(lambda x: response_of(x).SerializeToString(), answers),
    }


def _count(metrics: Metrics, answer: RecognizeAnswer) -> None:
    with metrics.calls_in_flight.track_inprogress():
        metrics.call("OK", answer.timings)
    metrics.text("OK")


def _padded(rows: Sequence[Ids]) -> tuple[Ids, Ids]:
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def _cost_us(work: Callable[[T], object], inputs: Sequence[T]) -> float:
    """Processor time of one input, the best of three rounds, in microseconds."""
    best_s = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for one in inputs:
            work(one)
        best_s = min(best_s, time.process_time() - started)
    return best_s / len(inputs) * 1e6


def _grpc_us() -> dict[str, float]:
    """Processor time of a call in a server whose handler does nothing."""
    command = [sys.executable, "-m", "benchmarks.stages", _EMPTY]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            port = int(server.stdout.readline() if server.stdout else "")
            process = psutil.Process(server.pid)
            return {
                f"gRPC, empty call, {callers:2} callers": uvloop.run(_calls(process, port, callers))
                for callers in (1, 32)
            }
        finally:
            server.terminate()


async def _calls(process: psutil.Process, port: int, callers: int) -> float:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            _METHOD, pb.RecognizeRequest.SerializeToString, pb.RecognizeResponse.FromString
        )
        await call(pb.RecognizeRequest())
        before_s = sum(process.cpu_times()[:2])
        remaining = iter(range(_CALLS))

        async def caller() -> None:
            for _ in remaining:
                await call(pb.RecognizeRequest())

        await asyncio.gather(*(caller() for _ in range(callers)))
        return (sum(process.cpu_times()[:2]) - before_s) / _CALLS * 1e6


async def _serve_nothing() -> None:
    async def answer(_request: pb.RecognizeRequest, _context: object) -> pb.RecognizeResponse:
        return pb.RecognizeResponse()

    method = grpc.unary_unary_rpc_method_handler(
        answer, pb.RecognizeRequest.FromString, pb.RecognizeResponse.SerializeToString
    )
    service, _, name = _METHOD[1:].partition("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {name: method}),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    main()
