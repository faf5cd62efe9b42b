"""A served model: the inference service on a model repository, as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from protos.ner.v1 import entity_recognizer_pb2 as pb
from protos.ner.v1.entity_recognizer_pb2_grpc import EntityRecognizerStub

# Of `python -m`: the packages lie beside this one.
_ROOT = Path(__file__).parent.parent
_LISTENING = "inference_listening"
# A model is loaded within a second; a busy machine takes longer.
_DEADLINE_S = 60.0


class ServingFailed(Exception):
    """The service did not start; the message is what it said last."""


class ServedModel:
    """Starts the service on a free port of this machine, and stops it at the end.

    Args:
        models: the model repository.
    """

    def __init__(self, models: Path) -> None:
        self._models = models
        self._process: subprocess.Popen[str] | None = None
        self._channel: grpc.Channel | None = None
        self._port = 0

    def __enter__(self) -> Self:
        settings = {
            "INFERENCE_HOST": "127.0.0.1",
            "INFERENCE_PORT": "0",
            "INFERENCE_METRICS_PORT": "0",
            "INFERENCE_MODELS_DIR": str(self._models.absolute()),
            "INFERENCE_LOG_LEVEL": "info",
        }
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            [  # noqa: S607 - POSIX's env, wherever it is
                "env",
                *(f"{name}={value}" for name, value in settings.items()),
                *(sys.executable, "-m", "inference"),
            ],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self._port = _port(self._process)
        except ServingFailed:
            self._stop()
            raise
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self._port}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def entities(self, text: str, model: str) -> list[pb.Entity]:
        """Asks for the entities of a text over gRPC.

        Args:
            text: at least a character.
            model: its name.
        """
        if self._channel is None:
            raise RuntimeError("the service is not started")
        request = pb.RecognizeRequest(texts=[text], model=model)
        answer = EntityRecognizerStub(self._channel).Recognize(request, timeout=_DEADLINE_S)
        return list(answer.results[0].entities.entities)

    def _stop(self) -> None:
        if self._channel:
            self._channel.close()
        if self._process:
            self._process.terminate()
            # Reads what the service still writes, so that it is not held up by a full pipe.
            self._process.communicate(timeout=_DEADLINE_S)


def _port(process: subprocess.Popen[str]) -> int:
    """Reads the service's log until it listens."""
    line = ""
    for line in process.stdout or ():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == _LISTENING:
            return int(event["address"].rpartition(":")[2])
    raise ServingFailed(f"the inference service ended: {line.strip() or 'without a word'}")
