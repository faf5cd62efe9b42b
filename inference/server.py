"""The gRPC server: owns the engine, the workers and the port, from start to drained."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from credentials.certificates import TlsFiles
from inference.access import AccessInterceptor, read_tokens, server_credentials
from inference.batch_queue import BatchQueue
from inference.batcher import Batcher, Patience
from inference.cores import usable_cores
from inference.engine import Engine, Limits
from inference.gauges import VersionReading
from inference.metrics import Metrics
from inference.model_control import ModelControl
from inference.model_health import ModelHealth
from inference.repository import Repository
from inference.servicers.entity_recognizer import RecognizerServicer
from inference.servicers.open_inference import OpenInferenceServicer
from inference.servicers.trace_interceptor import Interceptor, TraceInterceptor
from inference.settings import Settings
from inference.shadow import Shadow
from inference.tracing import CallSpans
from inference.version_state import State
from inference.watchdog import LOOK_S, Watchdog
from inference.watcher import Watcher
from protos.inference import open_inference_pb2
from protos.inference.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from protos.ner.v1 import entity_recognizer_pb2
from protos.ner.v1.entity_recognizer_pb2_grpc import add_EntityRecognizerServicer_to_server
from telemetry import logs
from telemetry.tracing import Tracer

_log = logs.get_logger(__name__)

SERVICE = entity_recognizer_pb2.DESCRIPTOR.services_by_name["EntityRecognizer"].full_name
OPEN_INFERENCE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
# Workers that run nothing end in microseconds; also where running calls get no time at all.
_IDLE_WORKERS_END_S = 1.0

CHANNEL_OPTIONS = (
    # Clients may ping every 10 s, also while idle; the default punishes that with GOAWAY.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A caller that is gone without a word, as behind a network that swallows everything, holds its
    # streams for two minutes rather than two hours.
    ("grpc.keepalive_time_ms", 100_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A connection takes calls for five minutes, so that new replicas get their share of callers.
    # Those that run then are not cut off, however long they take: a stream may last for hours.
    ("grpc.max_connection_age_ms", 300_000),
    # A caller that is silent, or slow with TLS, is cut; the default is two minutes.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Without this two servers share a port silently and the calls go to either.
    ("grpc.so_reuseport", 0),
)


class PortTaken(Exception):
    """The address cannot be listened on."""


class Server:
    """One inference service in one process.

    Args:
        settings: of the service.
        repository: loaded models.
        metrics: of the process.
        tracer: makes spans, and is closed by its owner; None: there are none.

    Raises:
        CredentialInvalid: a file of keys or certificates cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        metrics: Metrics,
        tracer: Tracer | None = None,
    ) -> None:
        spans = None if tracer is None else CallSpans(tracer)
        self._settings = settings
        workers = settings.workers or usable_cores()
        queue = BatchQueue(
            settings.batch_tokens, settings.queue_tokens, settings.model_queue_tokens or None
        )
        patience = Patience(
            max_wait_ns=settings.max_wait_ms * _NS_PER_MS or None,
            hang_ns=int(settings.hang_s * _NS_PER_S),
            look_ns=int(LOOK_S * _NS_PER_S),
        )
        self._batcher = Batcher(queue, workers, metrics, patience=patience, spans=spans)
        limits = Limits(settings.max_texts, settings.max_text_chars, settings.queue_tokens)
        self._engine = Engine(repository, self._batcher, limits, spans=spans)
        self._servicer = RecognizerServicer(self._engine, metrics, settings.stream_pending_items)
        # A copy for a candidate runs only where no caller waits.
        self._shadow = Shadow(self._engine, metrics, lambda: queue.waiting_tokens > 0)
        self._engine.on_answer = self._shadow.offer
        self._health = ModelHealth(repository, SERVICE, OPEN_INFERENCE)
        self._open_inference = OpenInferenceServicer(
            self._engine,
            metrics,
            settings.max_texts,
            self._make_control(settings, repository),
            lambda: self._health.able,
        )
        self._repository = repository
        self._watcher = self._make_watcher(settings, repository)
        self._watchdog = Watchdog(
            self._batcher,
            metrics,
            lambda able: self._health.declare(able=able),
            settings.hang_exit_s,
        )
        self._watching: list[asyncio.Task[None]] = []
        metrics.model_memory.set_function(lambda: float(repository.memory.room.held_bytes))
        metrics.versions.follow(
            [state.value for state in State],
            lambda: [
                VersionReading(one.name, one.version, one.standing.value)
                for one in repository.versions
            ],
        )
        metrics.models_loaded.set_function(lambda: float(repository.memory.room.loaded))
        self._server: grpc.aio.Server | None = None
        tokens = settings.tokens_file
        self._interceptors: list[Interceptor] = []
        if tracer is not None:
            self._interceptors.append(TraceInterceptor(tracer))
        if tokens is not None:
            self._interceptors.append(AccessInterceptor(read_tokens(tokens)))
        tls = _tls(settings)
        self._credentials = None if tls is None else server_credentials(tls)
        self.port = 0

    async def start(self) -> None:
        """Starts the workers, listens, and declares itself healthy.

        Raises:
            PortTaken: the address cannot be listened on.
        """
        message_bytes = self._settings.max_message_bytes
        options: list[tuple[str, Any]] = [
            *CHANNEL_OPTIONS,
            ("grpc.max_receive_message_length", message_bytes),
            ("grpc.max_send_message_length", message_bytes),
        ]
        self._server = grpc.aio.server(options=options, interceptors=self._interceptors)
        add_EntityRecognizerServicer_to_server(self._servicer, self._server)
        add_GRPCInferenceServiceServicer_to_server(self._open_inference, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        if self._settings.reflection:
            names = (
                SERVICE,
                OPEN_INFERENCE,
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            )
            reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), self._server)
        address = self._settings.address(self._settings.port)
        try:
            self.port = (
                self._server.add_insecure_port(address)
                if self._credentials is None
                else self._server.add_secure_port(address, self._credentials)
            )
        except RuntimeError as error:
            raise PortTaken(f"cannot listen on {address}: INFERENCE_PORT moves it") from error
        self._batcher.start()
        await self._server.start()
        await self._health.start()
        self._repository.start()
        self._watching.append(asyncio.create_task(self._watchdog.run()))
        if self._watcher is not None:
            self._watching.append(asyncio.create_task(self._watcher.run()))
        _log.info("inference_listening", address=self._settings.address(self.port))

    async def given_up(self) -> None:
        """Waits until a worker has hung for so long that only a new process helps."""
        await self._watchdog.given_up.wait()

    async def drain(self) -> bool:
        """Refuses new calls, lets those that run end within the drain timeout, and stops.

        Returns:
            Whether every worker has ended; one that hangs cannot be stopped.
        """
        _log.info("inference_draining", timeout_s=self._settings.drain_timeout_s)
        await self._health.enter_graceful_shutdown()
        # Whoever watches the health sends its calls elsewhere before the first is refused.
        await asyncio.sleep(self._settings.lame_duck_s)
        self._servicer.drain()
        self._open_inference.drain()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        # From here on the transport refuses calls; those it has taken are answered.
        if self._server is not None:
            await self._server.stop(self._settings.drain_timeout_s)
        await self._shadow.aclose()
        await self._repository.aclose()
        # Joining the workers waits for the runs that have begun: not on the event loop.
        with ThreadPoolExecutor(1) as closer:
            all_ended = await asyncio.get_running_loop().run_in_executor(
                closer,
                self._batcher.close,
                max(self._settings.drain_timeout_s, _IDLE_WORKERS_END_S),
            )
        self._engine.close()
        _log.info("inference_stopped")
        return all_ended

    @staticmethod
    def _make_control(settings: Settings, repository: Repository) -> ModelControl | None:
        if settings.model_control != "explicit" or repository.loader is None:
            return None
        return ModelControl(repository, repository.loader)

    @staticmethod
    def _make_watcher(settings: Settings, repository: Repository) -> Watcher | None:
        if settings.model_control != "poll" or repository.loader is None:
            return None
        return Watcher(repository, repository.loader, settings.poll_interval_s)


def _tls(settings: Settings) -> TlsFiles | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
