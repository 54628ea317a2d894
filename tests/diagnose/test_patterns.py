"""Members in words: one sentence for all layers of a role, for a type, for a run of layers."""

import pytest

from aprtui.core.dtypes import DType
from aprtui.diagnose.patterns import in_words

ROLES = ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm")
LAYER = [f"model.layers.{{}}.{role}.weight" for role in ROLES]
TYPES = {name.format(layer): DType.BF16 for layer in range(12) for name in LAYER} | {"model.norm.weight": DType.F32}


def of(role, layers):
    return [name.format(layer) for layer in layers for name in LAYER if role in name]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (["model.norm.weight"], "model.norm.weight"),
        (of("k_proj", range(12)), "all 12 k_proj"),
        (of("_proj", range(12))[:0] + of("k_proj", (3, 7)), "k_proj of layers 3, 7"),
        (of("", range(7, 12)), "all 25 tensors of layers 7 to 11"),
        (of("", (2, 5)), "all 10 tensors of layers 2, 5"),
        (of("", (4,)), "all 5 tensors of layer 4"),
        (list(TYPES), "all 61 tensors"),
        ([name for name, dtype in TYPES.items() if dtype is DType.BF16], "every BF16 tensor (60)"),
        (["rope_theta", "eos_token_id"], "rope_theta, eos_token_id"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_members_are_said_in_few_words(members, expected):
    assert in_words(members, TYPES) == expected
