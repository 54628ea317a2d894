"""The process that llama.cpp runs in: one request from a file, one answer into another.

llama.cpp ends its process where an assertion fails and keeps models in memory that Python does not see, so it never
runs inside the process of a check.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aprtui.inference.llama.library import LlamaModel, Refused


def answer(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What was asked for; logits go into .npy files of the folder, one for each sequence."""
    try:
        model = LlamaModel(request["path"])
        if request["what"] == "ids":
            return {"ids": [model.ids(text, add_special=request["add_special"]) for text in request["texts"]]}
        exact = bool(request["exact"])
        for number, ids in enumerate(request["sequences"]):
            np.save(folder / f"{number}.npy", model.logits(ids, exact=exact))
    except Refused as error:
        return {"refused": str(error)}
    return {"sequences": len(request["sequences"])}


def main(folder: Path) -> None:
    """Read `request.json`, write `answer.json`."""
    request = json.loads((folder / "request.json").read_bytes())
    (folder / "answer.json").write_text(json.dumps(answer(request, folder)), encoding="ascii")
