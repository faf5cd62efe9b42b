"""Answers that a connection writes itself, without an app."""

from http import HTTPStatus
from typing import Final

from pydantic_core import to_json

from gateway.errors import GatewayError
from gateway.problems import MEDIA_TYPE, problem_members
from telemetry import request_id as request_ids


def raw_problem(error: GatewayError, request_id: str, *fields: str) -> bytes:
    """Write a whole answer.

    Args:
        error: what it says.
        request_id: the id to quote.
        fields: more lines of its head.
    """
    body = to_json(problem_members(error, request_id))
    lines = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        *fields,
    ]
    if error.retry_after_s is not None:
        lines.append(f"retry-after: {error.retry_after_s}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class ProblemTemplate:
    """The same answer many times, each with a request id of its own.

    Args:
        error: what it says.
    """

    def __init__(self, error: GatewayError) -> None:
        id_in_its_place = request_ids.new()
        answer = raw_problem(error, id_in_its_place)
        self._parts: Final = answer.split(id_in_its_place.encode())

    def fresh(self) -> bytes:
        """Write one with a new id, which is as long as any other."""
        return request_ids.new().encode().join(self._parts)
