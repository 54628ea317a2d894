"""A model, whatever its format: tensors under canonical names, metadata in canonical terms, the tokenizer.

`open_model` reads headers only. Everything after it (comparison, conversion, diagnosis) speaks of canonical
names and never asks which format a model has, except where a layout rule depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from aprtui.core.errors import FormatError
from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level
from aprtui.formats.apr import read_apr
from aprtui.formats.container import Container, Format, StoredTensor
from aprtui.formats.gguf import read_gguf
from aprtui.formats.huggingface import ModelFiles, detect_format, find_model_files
from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.metadata import ModelConfig, read_config
from aprtui.formats.names import canonical_names
from aprtui.formats.safetensors import read_safetensors
from aprtui.formats.tokenizer import TokenizerFacts, read_tokenizer


@dataclass(frozen=True)
class Model:
    """An opened model.

    Attributes:
        container: The model as stored.
        config: Metadata in canonical terms.
        tensors: Stored tensors by canonical name, in file order.
        findings: Integrity findings with canonical tensor names as subjects.
    """

    container: Container
    config: ModelConfig
    tensors: Mapping[str, StoredTensor]
    findings: tuple[Finding, ...]

    @property
    def format(self) -> Format:
        """The format of the content."""
        return self.container.format

    @property
    def path(self) -> Path:
        """What was opened."""
        return self.container.path

    @cached_property
    def tokenizer(self) -> TokenizerFacts | None:
        """The tokenizer, read when first asked for; None where the model has none."""
        return read_tokenizer(self.container)
