"""The shape that a configuration gives each tensor of a checkpoint, as transformers' classes allocate them.

Proved by the checkpoints of every architecture in the test data, all of which transformers wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

_DIMS: Mapping[str, tuple[str, ...]] = {
    "embed_tokens.weight": ("vocab", "hidden"),
    "tok_embeddings.weight": ("vocab", "hidden"),
    "word_embeddings.weight": ("vocab", "hidden"),
    "wte.weight": ("vocab", "hidden"),
    "wpe.weight": ("positions", "hidden"),
    "lm_head.weight": ("vocab", "hidden"),
    "lm_head.bias": ("vocab",),
    "output.weight": ("vocab", "hidden"),
    "self_attn.q_proj.weight": ("q", "hidden"),
    "self_attn.k_proj.weight": ("kv", "hidden"),
    "self_attn.v_proj.weight": ("kv", "hidden"),
    "self_attn.o_proj.weight": ("hidden", "q"),
    "self_attn.dense.weight": ("hidden", "q"),
    "self_attn.q_proj.bias": ("q",),
    "self_attn.k_proj.bias": ("kv",),
    "self_attn.v_proj.bias": ("kv",),
    "self_attn.o_proj.bias": ("hidden",),
    "self_attn.dense.bias": ("hidden",),
    "self_attn.qkv_proj.weight": ("qkv", "hidden"),
    "self_attention.query_key_value.weight": ("qkv", "hidden"),
    "self_attention.dense.weight": ("hidden", "q"),
    "attention.wqkv.weight": ("qkv", "hidden"),
    "attention.wo.weight": ("hidden", "q"),
    "attn.c_attn.weight": ("qkv", "hidden"),
    "attn.c_attn.bias": ("qkv",),
    "attn.c_proj.weight": ("hidden", "q"),
    "attn.c_proj.bias": ("hidden",),
    "self_attn.q_norm.weight": ("head_dim",),
    "self_attn.k_norm.weight": ("head_dim",),
    "mlp.gate_proj.weight": ("intermediate", "hidden"),
    "mlp.up_proj.weight": ("intermediate", "hidden"),
    "mlp.down_proj.weight": ("hidden", "intermediate"),
    "mlp.gate_proj.bias": ("intermediate",),
    "mlp.up_proj.bias": ("intermediate",),
    "mlp.down_proj.bias": ("hidden",),
    "mlp.gate_up_proj.weight": ("intermediate2", "hidden"),
    "mlp.dense_h_to_4h.weight": ("intermediate", "hidden"),
    "mlp.dense_4h_to_h.weight": ("hidden", "intermediate"),
    "mlp.fc1.weight": ("intermediate", "hidden"),
    "mlp.fc1.bias": ("intermediate",),
    "mlp.fc2.weight": ("hidden", "intermediate"),
    "mlp.fc2.bias": ("hidden",),
    "mlp.c_fc.weight": ("intermediate", "hidden"),
    "mlp.c_fc.bias": ("intermediate",),
    "mlp.c_proj.weight": ("hidden", "intermediate"),
    "mlp.c_proj.bias": ("hidden",),
    "feed_forward.w1.weight": ("intermediate", "hidden"),
    "feed_forward.w3.weight": ("intermediate", "hidden"),
    "feed_forward.w2.weight": ("hidden", "intermediate"),
    "block_sparse_moe.gate.weight": ("experts", "hidden"),
    "block_sparse_moe.experts.{expert}.w1.weight": ("intermediate", "hidden"),
    "block_sparse_moe.experts.{expert}.w3.weight": ("intermediate", "hidden"),
    "block_sparse_moe.experts.{expert}.w2.weight": ("hidden", "intermediate"),
    "mlp.gate.weight": ("experts", "hidden"),
    "mlp.experts.{expert}.gate_proj.weight": ("moe_intermediate", "hidden"),
    "mlp.experts.{expert}.up_proj.weight": ("moe_intermediate", "hidden"),
    "mlp.experts.{expert}.down_proj.weight": ("hidden", "moe_intermediate"),
    "mlp.shared_expert.gate_proj.weight": ("shared_intermediate", "hidden"),
    "mlp.shared_expert.up_proj.weight": ("shared_intermediate", "hidden"),
    "mlp.shared_expert.down_proj.weight": ("hidden", "shared_intermediate"),
    "mlp.shared_expert_gate.weight": ("1", "hidden"),
    "self_attn.q_layernorm.norms.{expert}.weight": ("head_dim",),
    "self_attn.k_layernorm.norms.{expert}.weight": ("head_dim",),
}
_OLMO2_NORMS: Mapping[str, tuple[str, ...]] = {"self_attn.q_norm.weight": ("q",), "self_attn.k_norm.weight": ("kv",)}
_PREFIXES = ("model.layers.{layer}.", "transformer.h.{layer}.", "model.", "transformer.")
_CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def expected_shape(model_type: str, template: str, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """The shape of a checkpoint's tensor.

    Args:
        model_type: A key of the table of templates.
        template: The tensor's name with `{layer}` and `{expert}`.
        sizes: What the configuration states: vocab, hidden, q (heads times head_dim), kv, head_dim, intermediate,
            moe_intermediate, shared_intermediate, experts, positions.

    Returns:
        None where there is no rule for this name or the configuration does not state a size.
    """
    prefix = next((prefix for prefix in _PREFIXES if template.startswith(prefix)), "")
    tail = template.removeprefix(prefix)
    table = {**_DIMS, **_OLMO2_NORMS} if model_type == "olmo2" else _DIMS
    dims = table.get(tail)
    if (dims is None and "norm" in tail.lower()) or tail.startswith("ln_"):
        dims = ("hidden",)
    if dims is None:
        return None
    known = {"1": 1, **sizes}
    if "q" in known and "kv" in known:
        known["qkv"] = known["q"] + 2 * known["kv"]
    if "intermediate" in known:
        known["intermediate2"] = 2 * known["intermediate"]
    if any(dim not in known for dim in dims):
        return None
    shape = tuple(known[dim] for dim in dims)
    # gpt2's Conv1D modules keep [in, out].
    return shape[::-1] if model_type == "gpt2" and tail in _CONV1D else shape
