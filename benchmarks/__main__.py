"""`python -m benchmarks`: the services against the raw ceiling, printed and written to results/."""

import argparse
import asyncio
import json
import platform
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import grpc
import httpx
import onnxruntime

from benchmarks import ceiling, corpus
from benchmarks.load import Load, Send, drive
from benchmarks.services import Services, started
from inference.cores import usable_cores
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub

_ROOT = Path(__file__).parent.parent
_RESULTS = Path(__file__).parent / "results"
_SEED = 20261124
_CALLERS = (1, 8, 32, 128)


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sentences", type=int, default=3_000, help="a scenario (default 3000)")
    parser.add_argument("--models", type=Path, default=_ROOT / "models")
    arguments = parser.parse_args()
    texts = corpus.sentences(arguments.sentences, _SEED)
    best = ceiling.measure(arguments.models, texts)
    print(
        f"ceiling {best.sentences_per_s:.0f} sentences/s in process"
        f" ({best.workers} workers x {best.threads_per_worker} threads, batches of {best.batch});"
        f" alone p50 {best.alone_p50_ms:.2f} ms"
    )
    with started(arguments.models) as services:
        rows = asyncio.run(_scenarios(services, texts, best.sentences_per_s))
    report = {"machine": _machine(), "seed": _SEED, "ceiling": asdict(best), "scenarios": rows}
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{_commit()}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {path.relative_to(_ROOT)}")


async def _scenarios(
    services: Services, texts: list[str], ceiling_rate: float
) -> list[dict[str, object]]:
    """Every way in at every number of callers."""
    print("way   callers  sentences/s  of ceiling   p50 ms   p99 ms  CPU s/1000    MiB")
    rows: list[dict[str, object]] = []
    async with _ways(services) as ways:
        for way, send in ways.items():
            await drive(send, texts[:200], 8)
            for callers in _CALLERS:
                before_s = services.cpu_s()
                load = await drive(send, texts if callers > 1 else texts[:500], callers)
                sent = len(texts) if callers > 1 else 500
                cpu_s = (services.cpu_s() - before_s) * 1_000 / sent
                memory = services.memory_mib()
                rows.append(_row(way, callers, load, load.sentences_per_s / ceiling_rate))
                rows[-1] |= {"cpu_s_per_1000": cpu_s, "memory_mib": memory}
                print(
                    f"{way:5} {callers:7}  {load.sentences_per_s:11.0f}"
                    f"  {load.sentences_per_s / ceiling_rate:10.2f}  {load.p50_ms:7.1f}"
                    f"  {load.p99_ms:7.1f}  {cpu_s:10.2f}  {memory:8.0f}"
                )
    return rows


def _row(way: str, callers: int, load: Load, ratio: float) -> dict[str, object]:
    return {"way": way, "callers": callers, "of_ceiling": ratio, **asdict(load)}


@asynccontextmanager
async def _ways(services: Services) -> AsyncIterator[dict[str, Send]]:
    """The ways in: gRPC to inference, REST to the gateway."""
    limits = httpx.Limits(max_connections=None)
    url = f"{services.url}/v1/entities"
    async with (
        grpc.aio.insecure_channel(services.grpc_address) as channel,
        httpx.AsyncClient(limits=limits, timeout=60) as client,
    ):
        stub = EntityRecognizerStub(channel)

        async def by_grpc(text: str) -> None:
            await stub.Recognize(pb.RecognizeRequest(texts=[text]), timeout=60)

        async def by_rest(text: str) -> None:
            (await client.post(url, json={"text": text})).raise_for_status()

        yield {"gRPC": by_grpc, "REST": by_rest}


def _machine() -> dict[str, object]:
    cpu = Path("/proc/cpuinfo")
    names = [x for x in cpu.read_text().splitlines() if x.startswith("model name")]
    return {
        "cpu": names[0].partition(": ")[2] if names else platform.processor(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "grpcio": grpc.__version__,
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(  # noqa: S603
        command, cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
