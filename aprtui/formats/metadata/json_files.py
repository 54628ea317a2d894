"""JSON files beside a model, read with limits: they come from strangers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aprtui.core.errors import FormatError

LARGEST_CONFIG = 16 << 20
# The largest tokenizer.json in use (gemma 3) has 33 MB.
LARGEST_TOKENIZER = 512 << 20


def read_bounded(path: Path, limit: int) -> bytes:
    """A whole file of at most `limit` bytes.

    Raises:
        FormatError: It cannot be read or is larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise FormatError(f"the file cannot be read ({error.strerror})", file=path) from None
    if len(content) > limit:
        raise FormatError(f"the file is larger than {limit} bytes, which is more than any of its kind", file=path)
    return content


def read_json_object(path: Path, limit: int = LARGEST_CONFIG) -> Mapping[str, Any]:
    """A JSON file that holds an object; of duplicate keys the last one counts.

    Raises:
        FormatError: It cannot be read, is too large, is not JSON or not an object.
    """
    content = read_bounded(path, limit)
    try:
        value = json.loads(content)
    except UnicodeDecodeError:
        raise FormatError("the file is not UTF-8", file=path) from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the file is not JSON ({str(error)[:120]})", file=path) from None
    if not isinstance(value, dict):
        raise FormatError("the file holds no JSON object", file=path)
    return value
