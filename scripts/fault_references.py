"""What the references of the fault catalogue stand for: causes, transforms and signatures by their short names.

Causes (RC) are those of the published history of aprender and realizar; transforms (T) are what converters legitimately
do, gone wrong; signatures (S) are patterns in weights that diagnosis looks for.
"""

from __future__ import annotations

from aprtui.core.causes import HISTORY

CAUSES: dict[str, str] = {root.code: root.title for root in HISTORY.values()}

TRANSFORMS: dict[str, str] = {
    "T1": "names mapped",
    "T2": "order of dims reversed",
    "T3": "q and k rows rearranged for the rotary embedding",
    "T4": "partial and multi-axis rotary embedding",
    "T5": "norm weights plus one",
    "T6": "A = -exp(A_log)",
    "T7": "convolutions squeezed",
    "T8": "Conv1D weights transposed",
    "T9": "fused q, k and v split or regrouped",
    "T10": "experts stacked",
    "T11": "gate and up split or fused",
    "T12": "latent attention absorbed",
    "T13": "scalars folded into weights",
    "T14": "batch norms folded, patch embeddings split",
    "T15": "vocabulary padded or cut, tied head dropped",
    "T16": "rope factors generated",
    "T17": "types of vectors and matrices",
    "T18": "block scales of the source multiplied in",
    "T19": "tokenizer",
    "T20": "configuration",
}

SIGNATURES: dict[str, str] = {
    "S: cast rounding": "rounding to another float type",
    "S: quantization": "codes that are not the nearest ones",
    "S: transpose": "rows and columns exchanged",
    "S: q/k permutation": "rows permuted inside heads, in q and k only",
    "S: wrong head count": "k fails, q passes",
    "S: row roll": "rows moved",
    "S: half swap": "halves exchanged",
    "S: qkv regroup": "blocks of rows regrouped",
    "S: two layers swapped": "content of another layer",
    "S: wrong expert": "content of another expert",
    "S: norm +1": "a constant difference of one",
    "S: scalar": "a constant ratio",
    "S: sign": "opposite signs",
    "S: zeros": "zeros or single values",
    "S: NaN and infinity": "values that are not finite",
    "S: wrong dtype read": "bits read as another type",
    "S: block shift": "blocks moved",
    "S: wrong offset": "bytes moved",
    "S: nibble order": "nibbles in another order",
    "S: scale packing": "6-bit scales packed otherwise",
    "S: truncated tensor": "rows missing or too many",
    "S: tied head": "head equal to the embedding, or missing",
}

OUTSIDE: dict[str, str] = {
    **{root.code: root.outside for root in HISTORY.values() if root.outside},
    "T12": "no layout rules for latent attention yet: such a model is compared row by row, and the report says so",
    "T14": "vision and audio projectors are not compared yet",
}
