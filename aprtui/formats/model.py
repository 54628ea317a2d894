"""A model, whatever its format: tensors under canonical names, metadata in canonical terms, the tokenizer.

`open_model` reads headers only. Everything after it (comparison, conversion, diagnosis) speaks of canonical
names and never asks which format a model has, except where a layout rule depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from aprtui.core.errors import AprtuiError, FormatError
from aprtui.core.findings import Finding
from aprtui.formats.apr import read_apr
from aprtui.formats.container import Container, Format, StoredTensor
from aprtui.formats.gguf import read_gguf
from aprtui.formats.huggingface import find_model_files
from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.metadata import ModelConfig, read_config
from aprtui.formats.model_geometry import architecture_of, geometry_of
from aprtui.formats.names import canonical_names
from aprtui.formats.safetensors import read_safetensors
from aprtui.formats.tokenizer import TokenizerFacts, read_tokenizer
from aprtui.formats.tokenizer.special import one_id

_READERS = {Format.SAFETENSORS: read_safetensors, Format.GGUF: read_gguf, Format.APR: read_apr}


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

    @property
    def architecture(self) -> str:
        """The architecture, "unknown" where the file names none."""
        return architecture_of(self.config)

    def named_as(self, architecture: str) -> Model:
        """This model with its tensors named as another architecture names them.

        A product may claim a wrong architecture; what its tensors should be called follows from the reference.
        """
        return self if architecture == self.architecture else _named(self.container, self.config, architecture)

    @cached_property
    def tokenizer(self) -> TokenizerFacts | None:
        """The tokenizer, read when first asked for; None where the model has none."""
        return read_tokenizer(self.container)

    def one_id(self, kind: str) -> int | None:
        """The id of "bos" or "eos" where there is room for one; None where the model states none."""
        return self._ends[kind]

    @cached_property
    def _ends(self) -> dict[str, int | None]:
        tokens = (self.tokenizer.vocabulary if self.tokenizer is not None else None) or ()
        stated = {kind: self.config.values.get(f"{kind}_token_id", ()) for kind in ("bos", "eos")}
        return {kind: one_id(kind, ids, tokens, self.container) for kind, ids in stated.items()}

    @cached_property
    def geometry(self) -> Geometry:
        """The dimensions that layout rules depend on."""
        return geometry_of(self.config, self.container)


def open_model(path: Path) -> Model:
    """Open a model of any of the three formats.

    Args:
        path: A file, or a directory of one of the known shapes (`formats.huggingface`).

    Raises:
        FormatError: No readable model; says what was found and what to do.
        AprtuiError: The path cannot be read.
    """
    try:
        files = find_model_files(path)
        container = _READERS[files.format](files.primary)
    except OSError as error:
        raise AprtuiError(f"cannot be read: {error.strerror}", file=path) from None
    except RecursionError:
        raise FormatError("the header is nested too deeply", file=path) from None
    container = replace(container, path=path, companions={**container.companions, **files.companions})
    config = read_config(container)
    return _named(container, config, architecture_of(config))


def _named(container: Container, config: ModelConfig, architecture: str) -> Model:
    by_stored_name = canonical_names(architecture, tuple(tensor.name for tensor in container.tensors))
    tensors = {by_stored_name[tensor.name]: tensor for tensor in container.tensors}
    findings = tuple(_under_canonical_name(finding, by_stored_name) for finding in container.findings)
    return Model(container, config, tensors, findings)


def _under_canonical_name(finding: Finding, by_stored_name: Mapping[str, str]) -> Finding:
    canonical = by_stored_name.get(finding.subject, finding.subject)
    if canonical == finding.subject:
        return finding
    stored = f"stored as {finding.subject}"
    return replace(finding, subject=canonical, place=f"{finding.place}, {stored}" if finding.place else stored)
