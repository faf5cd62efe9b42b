import asyncio
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from telemetry import logs
from tests.streams import closed_pipe

_TEXT = "Angela Merkel visited Seoul."


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_json_with_level_time_event_and_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info")
    logs.get_logger("gateway.access").info("request", status=200)
    (line,) = _lines(capsys)
    time = line.pop("timestamp")
    assert time.endswith("Z")
    assert line == {"event": "request", "level": "info", "logger": "gateway.access", "status": 200}


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    logs.get_logger("quiet").info("hidden")
    logging.getLogger("library").info("hidden")
    logs.get_logger("quiet").warning("shown")
    assert [line["event"] for line in _lines(capsys)] == ["shown"]


def test_a_library_speaks_through_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("uvicorn.error").warning("slow %s", "start")
    (line,) = _lines(capsys)
    assert line["event"] == "slow start"
    assert line["level"] == "warning"
    assert line["logger"] == "uvicorn.error"


def test_a_warning_of_python_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
    (line,) = _lines(capsys)
    assert line["logger"] == "py.warnings"


def test_an_exception_is_written_without_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    def fail() -> None:
        try:
            Path(_TEXT).stat()
        except OSError as cause:
            raise ValueError(_TEXT) from cause

    for log in (logs.get_logger("ours").exception, logging.getLogger("library").exception):
        try:
            fail()
        except ValueError:
            log("failed")
    lines = _lines(capsys)
    assert len(lines) == 2
    for line in lines:
        assert line["exception"] == "ValueError"
        assert line["causes"] == ["FileNotFoundError"]
        assert line["frames"][-1].endswith(" fail")
        assert "exc_info" not in line
        assert _TEXT not in json.dumps(line)


async def test_asyncio_does_not_quote_the_exception_of_a_forgotten_task(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A library that other tests import sets loggers up for itself.
    for name, value in (("disabled", False), ("propagate", True), ("level", logging.NOTSET)):
        monkeypatch.setattr(logging.getLogger("asyncio"), name, value)
    logging.getLogger("asyncio").manager._clear_cache()  # type: ignore[attr-defined]
    logs.configure("info")
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(_TEXT)}
    )
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "note": _TEXT}
    )
    lines = _lines(capsys)
    assert [line["event"] for line in lines] == ["Task exception was never retrieved"] * 2
    assert _TEXT not in json.dumps(lines)


def test_a_line_that_cannot_be_written_does_not_disturb_who_logs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.configure("info")
    with closed_pipe() as nobody:
        monkeypatch.setattr(sys, "stderr", nobody)
        logs.get_logger("ours").info("told")
        logging.getLogger("library").warning("told")
    logs.get_logger("ours").info("told to a stream that is closed")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="debug, info, warning"):
        logs.configure("loud")
