"""JSON files of a repository, read with bounds."""

import json
from pathlib import Path
from typing import Any

from inference.errors import LoadFailed, ModelInvalid

# The largest configuration of a published token classifier is some 100 KiB; a manifest is smaller.
MAX_BYTES = 4 * 1024 * 1024


def read_object(path: Path) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Args:
        path: the file.

    Raises:
        ModelInvalid: it is missing, larger than MAX_BYTES or holds something else.
        LoadFailed: it cannot be read now.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ModelInvalid(f"{path.name}: larger than {MAX_BYTES} bytes")
        content = json.loads(raw.decode("utf-8"))
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path.name}: {error.strerror}") from error
    except OSError as error:
        raise LoadFailed.refused(error, path) from error
    except ValueError as error:
        raise ModelInvalid(f"{path.name}: not JSON: {error}") from error
    except RecursionError as error:
        raise ModelInvalid(f"{path.name}: nested too deep") from error
    if not isinstance(content, dict):
        raise ModelInvalid(f"{path.name}: must hold a JSON object")
    return content
