"""A model as transformers would load it: a configuration and every tensor in Hugging Face's order, nothing read yet.

It is what the built-in converter would write as SafeTensors without loss, seen through views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aprtui.convert.builtin.config_json import config_json
from aprtui.convert.builtin.facts import model_facts
from aprtui.convert.builtin.tensors import product_tensors
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.model import Model
from aprtui.formats.output_types import parse_output_type
from aprtui.formats.views import View
from aprtui.inference.errors import NotAModelError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a reference model is made of.

    Attributes:
        path: The model it stands for.
        config: The object of config.json, from the model's own metadata.
        views: Each tensor by its name in a checkpoint.
    """

    path: Path
    config: Mapping[str, Any]
    views: Mapping[str, View]


def checkpoint_of(model: Model) -> Checkpoint:
    """The checkpoint that a model of any format amounts to.

    Raises:
        NotAModelError: It says nothing about itself, or a layout rule does not fit its tensors.
    """
    try:
        tensors = product_tensors(model, Format.SAFETENSORS, parse_output_type("lossless"))
        config = config_json(model_facts(model, tensors), tensors)
    except AprtuiError as error:
        raise NotAModelError(error.problem, file=model.path, place=error.place) from None
    except (KeyError, TypeError, ValueError) as error:
        # Metadata that lacks what an architecture cannot do without.
        raise NotAModelError(f"its metadata makes no configuration: {error!r}", file=model.path) from None
    return Checkpoint(model.path, config, {tensor.name: tensor.view for tensor in tensors})
