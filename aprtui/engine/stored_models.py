"""What the headers of a run's model and sources say, before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aprtui.core.dtypes import Family
from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.gates import FormatLetter
from aprtui.engine.jobs import FORMATS
from aprtui.formats.metadata.architectures import gguf_name_of
from aprtui.formats.model import open_model
from aprtui.models import GivenSource

_LETTERS = {format_: letter for letter, format_ in FORMATS.items()}
_UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What a header tells; of what is no model the run itself will say so.

    Attributes:
        letter: Of the format.
        nbytes: Of all tensors.
        parameters: Elements of all tensors.
        has_blocks: Whether a tensor is quantised in blocks.
        architecture: As GGUF calls it; empty where the file names none.
        shapes: Sizes of each tensor in ascending order, by canonical name: formats may order them otherwise.
    """

    letter: FormatLetter = FormatLetter.SAFETENSORS
    nbytes: int = 0
    parameters: int = 0
    has_blocks: bool = False
    architecture: str = _UNKNOWN
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_stored(path: Path) -> StoredModel:
    """Read the header of a model; nothing but the defaults where it cannot be read."""
    try:
        model = open_model(path)
    except AprtuiError:
        return StoredModel()
    tensors = model.tensors
    return StoredModel(
        _LETTERS[model.format],
        sum(tensor.nbytes for tensor in tensors.values()),
        sum(tensor.elements for tensor in tensors.values()),
        any(tensor.dtype.info.family is Family.BLOCK for tensor in tensors.values()),
        _UNKNOWN if model.config.architecture is None else gguf_name_of(model.config.architecture),
        {name: tuple(sorted(tensor.shape)) for name, tensor in tensors.items()},
    )


def check_source(source: GivenSource, stored: StoredModel, model: StoredModel) -> None:
    """Refuse a source that is another model: no verdict about its conversions would say anything.

    A file that only calls itself by another architecture holds the model's tensors and is what a run is for.

    Args:
        source: The source.
        stored: What its header says.
        model: What the model's header says.

    Raises:
        UsageError: Its architecture is another one, and fewer than half of the model's tensors are in it.
    """
    if _UNKNOWN in (stored.architecture, model.architecture) or stored.architecture == model.architecture:
        return
    shared = sum(stored.shapes.get(name) == shape for name, shape in model.shapes.items())
    if 2 * shared < len(model.shapes):
        raise UsageError(
            f"it is another model, {stored.architecture}, and the run's model is {model.architecture}: "
            f"{shared} of {len(model.shapes)} tensors have the name and shape of the model's",
            file=source.path,
            todo="name a conversion of the model" if source.how.startswith("given") else "move it elsewhere",
        )
