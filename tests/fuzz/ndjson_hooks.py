"""How schemathesis writes and reads lines of JSON."""

import json
from typing import Any

import schemathesis

_MEDIA_TYPE = "application/x-ndjson"


@schemathesis.serializer(_MEDIA_TYPE)
def write_line(_context: Any, value: Any) -> Any:
    """One line, which is what the schema describes."""
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer(_MEDIA_TYPE)
def read_line(_context: Any, response: Any) -> Any:
    """The first line of the answer; a stream without lines is answered with none."""
    return json.loads(response.content.partition(b"\n")[0] or b"{}")
