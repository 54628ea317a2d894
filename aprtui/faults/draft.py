"""A product as an editable description: what faults change, before anything is written.

A draft holds views and header values, never weights. `Draft.touch` remembers which tensors, keys or parts were
damaged, so that a test can ask for a finding about exactly those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from aprtui.core.dtypes import DType, Family
from aprtui.faults.errors import NotApplicableError
from aprtui.faults.header_draft import HeaderDraft, RawValue, read_header_draft
from aprtui.formats.container import Format
from aprtui.formats.layout.plan import plan_layout
from aprtui.formats.model import Model
from aprtui.formats.names import gguf_name
from aprtui.formats.views import Stored, View
from aprtui.formats.views.edited import BlockEdit, BlocksEdited, ValueEdit, ValuesEdited

FileEdit = Callable[[Path], None]
"""Damages the bytes of a written file."""


@dataclass
class DraftTensor:
    """A tensor to be written.

    Attributes:
        name: Name in the file.
        canonical: Canonical name in the good product.
        role: GGUF's name of it, whatever the product's format; the canonical name where GGUF has none.
        view: What it holds.
        dtype: Type of the bytes to be written; what the view yields in another one is encoded.
        shape: Declared shape.
        file: File of the good product that held it.
    """

    name: str
    canonical: str
    role: str
    view: View
    dtype: DType
    shape: tuple[int, ...]
    file: Path

    @property
    def is_plain(self) -> bool:
        """Floats with bytes of their own, 16 or 32 bits wide."""
        return self.dtype in (DType.F32, DType.F16, DType.BF16)

    @property
    def is_blocks(self) -> bool:
        """Blocks of codes under shared scales."""
        return self.dtype.info.family is Family.BLOCK and not self.dtype.info.header

    @property
    def is_matrix(self) -> bool:
        """Two dimensions, none of them trivial."""
        return len(self.shape) == 2 and min(self.shape) > 1

    @property
    def is_placeholder(self) -> bool:
        """A declared shape without bytes."""
        return isinstance(self.view, Stored) and self.view.tensor.is_placeholder


Choice = Callable[[DraftTensor], bool]


def anything(_: DraftTensor) -> bool:
    """Every tensor."""
    return True


@dataclass
class Draft:
    """An editable copy of a product.

    Attributes:
        model: The good product.
        source: What it was made of, where known.
        tensors: In file order.
        header: Raw metadata and companions.
        seed: Chooses among the tensors that a fault may damage.
        subjects: Canonical names, keys and parts that were damaged, as findings call them.
        file_edits: What happens to the file after it was written, in order.
        placeholders: Stored names of tensors that keep their shape but no bytes (APR).
    """

    model: Model
    source: Model | None
    tensors: list[DraftTensor]
    header: HeaderDraft
    seed: int = 0
    subjects: set[str] = field(default_factory=set)
    file_edits: list[FileEdit] = field(default_factory=list)
    placeholders: set[str] = field(default_factory=set)

    @property
    def format(self) -> Format:
        """Format of the product."""
        return self.model.format

    @cached_property
    def _made_of(self) -> dict[str, View]:
        if self.source is None:
            return {}
        plan = plan_layout(self.source, self.model, self.source)
        return {pair.name: pair.source for pair in plan.pairs if pair.source.shape == pair.target.shape}

    def honest(self, tensor: DraftTensor) -> View:
        """What a converter encoded a tensor from: the source's view of it, else the product's own values."""
        return self._made_of.get(tensor.canonical, tensor.view)

    def choose(self, *patterns: str, where: Choice = anything) -> list[DraftTensor]:
        """Tensors with data whose role or canonical name matches one of the patterns; all without patterns."""
        return [
            tensor
            for tensor in self.tensors
            if not tensor.is_placeholder and _matches(tensor, patterns or ("*",)) and where(tensor)
        ]

    def require(self, what: str, *patterns: str, where: Choice = anything) -> list[DraftTensor]:
        """`choose`, refusing an empty choice; `what` says what is missing."""
        found = self.choose(*patterns, where=where)
        if not found:
            raise NotApplicableError(f"the product has no {what}", file=self.model.path)
        return found

    def pick(self, what: str, *patterns: str, where: Choice = anything) -> DraftTensor:
        """One of the tensors that match; the seed says which."""
        found = self.require(what, *patterns, where=where)
        return found[self.seed % len(found)]

    def role(self, role: str) -> DraftTensor | None:
        """The tensor of exactly this role, None where there is none."""
        return next((tensor for tensor in self.tensors if tensor.role == role), None)

    def touch(self, *subjects: str) -> None:
        """Remember what was damaged."""
        self.subjects.update(subjects)

    def put(
        self,
        tensor: DraftTensor,
        view: View,
        *,
        dtype: DType | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Let a tensor hold something else.

        Args:
            tensor: One of the draft's.
            view: What it holds from now on.
            dtype: Encoding of its bytes; the old one by default.
            shape: Declared shape; the view's by default.
        """
        tensor.view = view
        tensor.dtype = dtype or tensor.dtype
        tensor.shape = view.shape if shape is None else shape
        self.touch(tensor.canonical)

    def change_values(self, tensor: DraftTensor, change: ValueEdit) -> None:
        """Change a tensor's numbers."""
        self.put(tensor, ValuesEdited(tensor.view, change))

    def change_blocks(self, tensor: DraftTensor, change: BlockEdit) -> None:
        """Change the bytes of a tensor's blocks or elements."""
        self.put(tensor, BlocksEdited(tensor.view, change))

    def remove(self, tensors: Iterable[DraftTensor]) -> None:
        """Leave tensors out."""
        gone = list(tensors)
        self.tensors = [tensor for tensor in self.tensors if all(tensor is not other for other in gone)]
        self.touch(*(tensor.canonical for tensor in gone))

    def add(self, like: DraftTensor, canonical: str, name: str, view: View, dtype: DType | None = None) -> DraftTensor:
        """Add a tensor behind another one."""
        kept = dtype or like.dtype
        role = gguf_name(self.model.architecture, canonical) or canonical
        added = DraftTensor(name, canonical, role, view, kept, view.shape, like.file)
        self.tensors.insert(next(i for i, tensor in enumerate(self.tensors) if tensor is like) + 1, added)
        self.touch(canonical)
        return added

    def after_writing(self, edit: FileEdit, *subjects: str) -> None:
        """Damage the written file; `subjects` are what the finding will be about."""
        self.file_edits.append(edit)
        self.touch(*subjects)

    def refuse(self, reason: str) -> NotApplicableError:
        """The error to raise where a fault does not apply."""
        return NotApplicableError(reason, file=self.model.path)


def _matches(tensor: DraftTensor, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(tensor.role, pattern) or fnmatchcase(tensor.canonical, pattern) for pattern in patterns)


def draft_of(model: Model, source: Model | None = None, *, seed: int = 0) -> Draft:
    """A draft of an opened product, as yet undamaged."""
    architecture = model.architecture
    tensors = [
        DraftTensor(
            stored.name,
            canonical,
            gguf_name(architecture, canonical) or canonical,
            Stored(stored),
            stored.dtype,
            stored.shape,
            stored.file,
        )
        for canonical, stored in model.tensors.items()
    ]
    return Draft(model, source, tensors, read_header_draft(model.container), seed)


def metadata_value(draft: Draft, key: str) -> RawValue:
    """A canonical value of the good product, refusing the fault where there is none."""
    value = draft.model.config.values.get(key)
    if value is None:
        raise draft.refuse(f"the product has no {key}")
    return value
