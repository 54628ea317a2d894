"""In whose order a stored tensor's rows are: the checkpoint's, or the one that GGUF rearranges them to."""

from __future__ import annotations

from enum import StrEnum

from aprtui.formats.container import Container, Format

# Names of GGUF outside the blocks (gguf's TENSOR_NAMES); checkpoints use none of them for tensors that are rearranged.
_GGUF_STEMS = frozenset({"token_embd", "output", "output_norm", "position_embd", "rope_freqs"})


class RowOrder(StrEnum):
    """Whose layout rules a tensor's values follow."""

    HF = "Hugging Face"
    GGUF = "GGUF"


def row_order(container: Container, stored_name: str) -> RowOrder:
    """The row order that a file claims for a tensor.

    SafeTensors holds checkpoints and GGUF holds what its converters rearranged. An APR says it by the name: rows under
    `blk.*` are in GGUF's order, under `model.layers.*` in Hugging Face's (aprender copies blocks of a GGUF together
    with their names).

    Args:
        container: The file that holds the tensor.
        stored_name: The tensor's name in that file.
    """
    if container.format is Format.GGUF:
        return RowOrder.GGUF
    if container.format is Format.SAFETENSORS:
        return RowOrder.HF
    named_by_gguf = stored_name.startswith("blk.") or stored_name.rpartition(".")[0] in _GGUF_STEMS
    return RowOrder.GGUF if named_by_gguf else RowOrder.HF
