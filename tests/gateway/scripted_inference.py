"""An inference service whose answers are scripted, on a real port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # stubs lack it

from gateway.service_config import REPLICA_HEALTH
from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1 import entity_recognizer_pb2_grpc as pb_grpc

Context = grpc.aio.ServicerContext[Any, Any]
Script = Callable[[pb.RecognizeRequest, Context], Awaitable[pb.RecognizeResponse]]

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def find_names(request: pb.RecognizeRequest, _context: Context) -> pb.RecognizeResponse:
    """The default script: every capitalized word is a PER; an empty text is an error."""
    return pb.RecognizeResponse(
        model=request.model or "ner-en",
        version=request.version or "1",
        results=[_names(text) for text in request.texts],
        timings=pb.Timings(tokenize_ns=1, queue_ns=2, inference_ns=3, decode_ns=4),
    )


def _names(text: str) -> pb.TextResult:
    if not text:
        detail = "the text has no characters"
        return pb.TextResult(error=pb.TextError(reason=pb.ErrorReason.TEXT_EMPTY, detail=detail))
    entities = pb.Entities()
    start = 0
    for word in text.split(" "):
        if word[:1].isupper():
            end = start + len(word)
            entities.entities.add(text=word, label="PER", start=start, end=end, score=0.1 + 0.2)
        start += len(word) + 1
    return pb.TextResult(entities=entities)


def refuse(
    code: grpc.StatusCode, reason: str | None, detail: str = "", retry_s: float | None = None
) -> Script:
    """Make a script that fails every call.

    Args:
        code: gRPC status of the call.
        reason: the ErrorInfo's reason; None sends no details.
        detail: the status message.
        retry_s: seconds of the RetryInfo; None sends none.
    """
    status = status_pb2.Status(code=code.value[0], message=detail)
    if reason is not None:
        info = any_pb2.Any()
        info.Pack(error_details_pb2.ErrorInfo(domain="nerve", reason=reason))
        status.details.append(info)
    if retry_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(retry_s * 1e9))
        retry = any_pb2.Any()
        retry.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        status.details.append(retry)
    metadata: tuple[Any, ...] = ()
    if status.details:
        metadata = (("grpc-status-details-bin", status.SerializeToString()),)

    async def script(_request: pb.RecognizeRequest, context: Context) -> pb.RecognizeResponse:
        await context.abort(code, detail, metadata)

    return script


class ScriptedInference(pb_grpc.EntityRecognizerServicer):
    """Serves `ner.v1.EntityRecognizer` and `grpc.health.v1`; `stop` ends it, `start` begins anew.

    Attributes:
        script: answers the calls.
        models: what ListModels answers.
        requests: every call, in the order they came; of a stream every item.
        open_streams: streams that have begun and not ended.
        stream_starts: the first message of every stream that had options.
        request_ids: the `x-request-id` of every call.
        deadlines_s: the time left of every call when it came.
        listings_s: the time left of every ListModels when it came.
        may_list: ListModels waits for it; set from the start.
        arrived: set when a call comes.
        cancelled: set when a call is cancelled.
        port: TCP port; the same after a restart.
        credentials: for TLS; None: in the clear.
    """

    def __init__(self) -> None:
        self.script: Script = find_names
        self.models = pb.ListModelsResponse(
            default_model="ner-en",
            models=[
                pb.ModelVersion(
                    name="ner-en",
                    version="1",
                    state=pb.ModelVersion.READY,
                    live=True,
                    aliases=["live"],
                    labels=["PER", "ORG"],
                    max_window_tokens=256,
                    min_score=0.4,
                    label_consistency=0.5,
                ),
                pb.ModelVersion(
                    name="ner-en", version="2", state=pb.ModelVersion.FAILED, detail="bad sha256"
                ),
                pb.ModelVersion(name="other", version="7", state=pb.ModelVersion.READY),
            ],
        )
        self.requests: list[pb.RecognizeRequest] = []
        self.open_streams = 0
        self.stream_starts: list[pb.RecognizeStreamStart] = []
        self.request_ids: list[str | bytes] = []
        self.deadlines_s: list[float] = []
        self.listings_s: list[float] = []
        self.may_list = asyncio.Event()
        self.may_list.set()
        self.arrived = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.port = 0
        self.credentials: grpc.ServerCredentials | None = None
        self._health: Any = None
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen on `port`, or on a free one the first time."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._health = health_aio.HealthServicer()
        pb_grpc.add_EntityRecognizerServicer_to_server(self, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        address = f"127.0.0.1:{self.port}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self.credentials)
        await self._server.start()
        await self.set_health(SERVING)

    async def stop(self) -> None:
        """Stop at once, as a killed process does; running calls are cut."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Say whether the server as a whole serves, and so whether it takes calls at all."""
        await self._health.set("", status)
        await self._health.set(REPLICA_HEALTH, status)

    async def Recognize(  # noqa: N802 - the .proto's name
        self, request: pb.RecognizeRequest, context: Context
    ) -> pb.RecognizeResponse:
        self.requests.append(request)
        metadata: Mapping[Any, Any] = dict(context.invocation_metadata() or ())
        self.request_ids.append(metadata.get("x-request-id", ""))
        self.deadlines_s.append(context.time_remaining())
        self.arrived.set()
        try:
            return await self.script(request, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def Classify(  # noqa: N802 - the .proto's name
        self, request: pb.ClassifyRequest, context: Context
    ) -> pb.ClassifyResponse:
        """Give every entity of the script as a group."""
        call = pb.RecognizeRequest(texts=request.texts, model=request.model)
        response = await self.Recognize(call, context)
        groups = [
            [
                pb.TokenGroup(label=e.label, score=e.score, word=e.text, start=e.start, end=e.end)
                for e in result.entities.entities
            ]
            for result in response.results
        ]
        results = [pb.TextClassification(groups=pb.TokenGroups(groups=each)) for each in groups]
        return pb.ClassifyResponse(model=response.model, version=response.version, results=results)

    async def RecognizeStream(  # type: ignore[override]  # noqa: N802 - the .proto's name
        self, request_iterator: AsyncIterator[pb.RecognizeStreamRequest], context: Context
    ) -> None:
        """Answer item after item with the script."""
        self.open_streams += 1
        try:
            await context.send_initial_metadata((("nerve-stream", "accepted"),))
            async for message in request_iterator:
                if message.HasField("start"):
                    self.stream_starts.append(message.start)
                else:
                    await context.write(await self._answer(message.item, context))
        finally:
            self.open_streams -= 1

    async def _answer(
        self, item: pb.RecognizeStreamItem, context: Context
    ) -> pb.RecognizeStreamResponse:
        response = await self.Recognize(pb.RecognizeRequest(texts=[item.text]), context)
        return pb.RecognizeStreamResponse(
            id=item.id,
            model=response.model,
            version=response.version,
            result=response.results[0],
        )

    async def ListModels(  # noqa: N802 - the .proto's name
        self, _request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        self.listings_s.append(context.time_remaining())
        await self.may_list.wait()
        return self.models
