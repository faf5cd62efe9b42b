"""The service `inference.GRPCInferenceService`: the Open Inference Protocol, version 2."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import grpc

from inference import VERSION
from inference.engine import Engine
from inference.errors import (
    Draining,
    ModelControlOff,
    ModelInvalid,
    ModelNotFound,
    Reason,
    RecognitionError,
    RequestInvalid,
)
from inference.metrics import Metrics
from inference.repository import VersionState
from inference.servicers.call import expiry_ns
from inference.servicers.infer_wire import DATATYPE, INPUT, OUTPUT, read_call, write_answer
from inference.servicers.ordered_stream import OrderedStream
from inference.servicers.outcome import (
    answered_or_aborted,
    cancellation_counted,
    count_answer,
    named,
)
from protos.inference import open_inference_pb2 as pb
from protos.inference.open_inference_pb2_grpc import GRPCInferenceServiceServicer

_Context = grpc.aio.ServicerContext[Any, Any]

# Triton's names of its extensions: tensors after the JSON of REST, the repository's calls,
# parameters of a request, its priority and timeout.
_EXTENSIONS = ("binary_tensor_data", "model_repository", "parameters", "schedule_policy")
_PLATFORM = "onnxruntime_onnx"  # Triton's name for a model that onnxruntime runs
# Requests of one stream that are worked on together: a few times what one batch holds.
_STREAM_REQUESTS = 32


class ModelControl(Protocol):
    """What loads and unloads models."""

    async def load(self, name: str) -> None:
        """Loads a model, or loads it anew.

        Raises:
            ModelNotFound: there is no such model.
            ModelInvalid: its folder cannot be served.
        """

    async def unload(self, name: str) -> None:
        """Takes a model out of service.

        Raises:
            ModelNotFound: there is no such model.
        """


class OpenInferenceServicer(GRPCInferenceServiceServicer):
    """Translates between the Open Inference Protocol and the engine.

    Args:
        engine: answers the calls.
        metrics: where calls are counted.
        max_texts: most texts of a call.
        control: loads and unloads models; None: callers may not.
        able: whether the process is able to answer, as its health says.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        max_texts: int,
        control: ModelControl | None,
        able: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._max_texts = max_texts
        self._control = control
        self._able = able
        self._streams: set[OrderedStream[pb.ModelInferRequest, pb.ModelStreamInferResponse]] = set()
        self._draining = False

    def drain(self) -> None:
        """Lets every stream answer what it has read and then end as DRAINING; takes no new one."""
        self._draining = True
        for stream in self._streams:
            stream.stop()

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: _Context
    ) -> pb.ServerLiveResponse:
        """Says that the process runs."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: _Context
    ) -> pb.ServerReadyResponse:
        """Says whether a model answers, as health does."""
        ready = self._able() and bool(self._engine.repository.served_names())
        return pb.ServerReadyResponse(ready=ready)

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: _Context
    ) -> pb.ModelReadyResponse:
        """Says whether a model answers, as health does; of an unknown one, that it does not."""
        try:
            self._engine.repository.find(request.name, request.version)
        except ModelNotFound:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._able())

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: _Context
    ) -> pb.ServerMetadataResponse:
        """Describes the server."""
        return pb.ServerMetadataResponse(name="nerve", version=VERSION, extensions=_EXTENSIONS)

    @answered_or_aborted
    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: _Context
    ) -> pb.ModelMetadataResponse:
        """Describes a model that answers."""
        repository = self._engine.repository
        name = repository.find(request.name, request.version).name
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=name,
            versions=[v.version for v in repository.versions if v.name == name and v.answers],
            platform=_PLATFORM,
            inputs=[tensor(name=INPUT, datatype=DATATYPE, shape=[-1])],
            outputs=[tensor(name=OUTPUT, datatype=DATATYPE, shape=[-1])],
        )

    @answered_or_aborted
    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: _Context
    ) -> pb.ModelInferResponse:
        """Answers one call; see the .proto."""
        return await self._answer(request, context)

    @answered_or_aborted
    async def ModelStreamInfer(  # type: ignore[override] # a coroutine that writes, not a generator
        self, request_iterator: AsyncIterator[pb.ModelInferRequest], context: _Context
    ) -> None:
        """Answers a stream of calls, each for itself; see the .proto."""

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            try:
                response = await self._answer(request, context)
            except Exception as error:  # noqa: BLE001 - told in the stream, which goes on
                return pb.ModelStreamInferResponse(
                    error_message=named(error, context).detail,
                    infer_response=pb.ModelInferResponse(id=request.id),
                )
            response.parameters["triton_final_response"].bool_param = True
            return pb.ModelStreamInferResponse(infer_response=response)

        if self._draining:
            raise Draining
        stream = OrderedStream(answer, context.write, _STREAM_REQUESTS)
        self._streams.add(stream)
        try:
            if not await stream.run(request_iterator):
                raise Draining
        finally:
            self._streams.discard(stream)

    @answered_or_aborted
    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: _Context
    ) -> pb.RepositoryIndexResponse:
        """Lists every version of every model."""
        _check_repository(request.repository_name)
        versions = self._engine.repository.versions
        return pb.RepositoryIndexResponse(
            models=[_index(v) for v in versions if v.answers or not request.ready]
        )

    @answered_or_aborted
    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: _Context
    ) -> pb.RepositoryModelLoadResponse:
        """Loads a model, or loads it anew."""
        if self._control is None:
            raise ModelControlOff
        _check_repository(request.repository_name)
        if request.parameters:
            raise RequestInvalid(
                Reason.OPTION_INVALID,
                "send no parameters: what a model is, its folder in the repository says",
            )
        try:
            await self._control.load(request.model_name)
        except ModelInvalid as error:
            raise RecognitionError(Reason.MODEL_INVALID, str(error)) from None
        return pb.RepositoryModelLoadResponse()

    @answered_or_aborted
    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: _Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Takes a model out of service."""
        if self._control is None:
            raise ModelControlOff
        _check_repository(request.repository_name)
        await self._control.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    async def _answer(
        self, request: pb.ModelInferRequest, context: _Context
    ) -> pb.ModelInferResponse:
        """Answers one request, and counts it once, whatever becomes of it."""
        try:
            with (
                cancellation_counted(self._metrics),
                self._metrics.calls_in_flight.track_inprogress(),
            ):
                call = read_call(request, self._max_texts)
                expires_ns = _earlier(expiry_ns(context), call.timeout_ns)
                answer = await self._engine.recognize(call.query, expires_ns)
                response = write_answer(call, answer)
        except Exception as error:  # noqa: BLE001 - counted, then told
            told = named(error, context)
            self._metrics.call(told.reason)
            raise told from None
        count_answer(self._metrics, answer)
        return response


def _earlier(expires_ns: int | None, timeout_ns: int | None) -> int | None:
    """The earlier of a deadline and the end of a timeout that begins now."""
    if timeout_ns is None:
        return expires_ns
    ends_ns = time.monotonic_ns() + timeout_ns
    return ends_ns if expires_ns is None else min(expires_ns, ends_ns)


def _check_repository(name: str) -> None:
    if name:
        raise RequestInvalid(
            Reason.OPTION_INVALID, "there is one repository: leave repository_name empty"
        )


def _index(state: VersionState) -> pb.RepositoryIndexResponse.ModelIndex:
    return pb.RepositoryIndexResponse.ModelIndex(
        name=state.name,
        version=state.version,
        state="READY" if state.answers else "UNAVAILABLE",
        reason=state.detail,
    )
