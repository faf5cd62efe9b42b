"""The process of the inference service, before it serves."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_LIMIT_S = 60.0

pytestmark = pytest.mark.timeout(120)


def test_a_start_that_waits_for_its_models_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """By a handler of its own: without one, the first process of a container goes on."""
    with socket.create_server(("127.0.0.1", 0)) as store:
        store.settimeout(_LIMIT_S)
        environment = {
            "INFERENCE_MODELS_DIR": str(tmp_path),
            "INFERENCE_MODEL_SOURCE": "s3://models/prod",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.getsockname()[1]}",
        }
        command = [sys.executable, "-m", "inference"]
        process = subprocess.Popen(command, cwd=_ROOT, env=environment)
        try:
            asked, _ = store.accept()
            with asked:
                process.send_signal(signal.SIGTERM)
                assert process.wait(_LIMIT_S) == 128 + signal.SIGTERM
        finally:
            process.kill()
            process.wait()
