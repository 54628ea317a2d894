"""The layout rules against what llama.cpp's converter really wrote."""

import json
from pathlib import Path

import numpy as np
import pytest
from fixture_files import FIXTURES
from gguf import GGUFReader, dequantize
from safetensors import safe_open
from step_oracle import apply_step, apply_steps

from aprtui.formats.layout.geometry import Geometry
from aprtui.formats.layout.rules import RULES
from aprtui.formats.layout.steps import (
    PermuteRotaryRows,
    RegroupQkv,
    Stack,
)
from aprtui.formats.layout.transforms import LayoutRules, Product, hf_to_gguf
from aprtui.formats.names import canonical_names, gguf_name, known_architectures

PAIRS = Path(__file__).parent.parent / "data/architectures"
TRAINED = (
    "qwen2-tiny/bf16",
    "qwen2-tiny/f32",
    "qwen2-tiny/f16",
    "llama-tiny256/bf16",
    "llama-tiny256/f32",
    "gemma3-tiny/bf16",
    "phi3-tiny/bf16",
    "gpt2-tiny/bf16",
    "qwen3-tiny/bf16",
    "qwen3-sharded-tiny/bf16",
)
CASES = [(FIXTURES / name.split("/")[0], name.split("/")[1]) for name in TRAINED]
CASES += [(folder, "bf16") for folder in sorted(PAIRS.iterdir()) if folder.is_dir()]
CASE_IDS = [f"{folder.name}-{outtype}" for folder, outtype in CASES]


def read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """Tensors under their own names; BF16 as float32, F16 as it is."""
    import torch

    tensors = {}
    for file in sorted((folder / "hf").glob("*.safetensors")):
        with safe_open(file, "pt") as shard:
            for name in shard.keys():  # noqa: SIM118 - safe_open is no mapping
                tensor = shard.get_tensor(name)
                tensors[name] = (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
    return tensors


def read_gguf(file: Path) -> dict[str, np.ndarray]:
    reader = GGUFReader(file)
    shapes = {tensor.name: [int(n) for n in reversed(tensor.shape)] for tensor in reader.tensors}
    return {t.name: dequantize(t.data, t.tensor_type).reshape(shapes[t.name]) for t in reader.tensors}


def gguf_types(file: Path) -> dict[str, str]:
    return {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(file).tensors}


def geometry_of(folder: Path) -> Geometry:
    config = json.loads((folder / "hf/config.json").read_text())
    heads = config.get("num_attention_heads") or config["n_head"]
    hidden = config.get("hidden_size") or config["n_embd"]
    kv_heads = config.get("num_kv_heads") or config.get("num_key_value_heads") or heads
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        kv_heads = 1
    tokenizer = folder / "hf/tokenizer.json"
    tokens = None
    if tokenizer.exists():
        content = json.loads(tokenizer.read_text())
        tokens = len(content["model"]["vocab"]) + len(content["added_tokens"])
    return Geometry(
        architecture=config["model_type"],
        layers=config.get("num_hidden_layers") or config["n_layer"],
        heads=heads,
        kv_heads=kv_heads,
        head_dim=config.get("head_dim") or hidden // heads,
        hidden=hidden,
        vocab=config["vocab_size"],
        experts=config.get("num_local_experts") or config.get("num_experts") or 0,
        tokens=tokens,
        rope=config.get("rope_parameters") or config.get("rope_scaling") or {},
    )


def as_stored(values: np.ndarray, stored_type: str) -> np.ndarray:
    """Float32 values after rounding to a GGUF type (bfloat16 to nearest even)."""
    import torch

    dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[stored_type]
    return torch.from_numpy(np.ascontiguousarray(values)).to(dtype).float().numpy()


def wrong_tensors(folder: Path, outtype: str, geometry: Geometry) -> list[str]:
    """GGUF names whose values are not what the rules say, and names that only one side has."""
    checkpoint = read_checkpoint(folder)
    names = canonical_names(geometry.architecture, list(checkpoint))
    canonical = {names[stored]: values for stored, values in checkpoint.items()}
    file = folder / f"gguf/{outtype}.gguf"
    stored, types = read_gguf(file), gguf_types(file)
    found = canonical_names(geometry.architecture, list(stored))
    products = {product.name: product for product in hf_to_gguf(geometry).products(canonical)}
    wrong = sorted(set(found.values()) ^ set(products))
    for gguf, name in found.items():
        if name in products:
            product = products[name]
            expected = apply_steps([canonical[source] for source in product.sources], product.steps)
            same = np.array_equal(as_stored(expected, types[gguf]), stored[gguf])
            # Rope factors come from torch's float32 power there and numpy's here: one unit in the last place.
            if not same and not (not product.sources and np.allclose(expected, stored[gguf], rtol=2.5e-7, atol=0)):
                wrong.append(gguf)
    return wrong


@pytest.mark.parametrize(("folder", "outtype"), CASES, ids=CASE_IDS)
def test_rules_give_every_gguf_tensor_bit_for_bit(folder: Path, outtype: str) -> None:
    assert wrong_tensors(folder, outtype, geometry_of(folder)) == []


def test_every_architecture_of_the_table_has_a_pair() -> None:
    proven = {geometry_of(folder).architecture for folder, _ in CASES}
    assert set(RULES) == set(known_architectures()) == proven


def test_sharded_tensors_are_all_read() -> None:
    assert len(read_checkpoint(FIXTURES / "qwen3-sharded-tiny")) == len(
        read_gguf(FIXTURES / "qwen3-sharded-tiny/gguf/bf16.gguf")
    )


@pytest.mark.parametrize(
    ("folder", "change", "wrong"),
    [
        (FIXTURES / "llama-tiny256", {"architecture": "qwen2"}, ("attn_q.", "attn_k.")),
        (FIXTURES / "llama-tiny256", {"kv_heads": 4}, ("attn_k.",)),
        (PAIRS / "llama-bias-rope", {"kv_heads": 4}, ("attn_k.",)),
        (FIXTURES / "gemma3-tiny", {"architecture": "qwen3"}, ("norm.",)),
        (
            FIXTURES / "gpt2-tiny",
            {"architecture": "gpt_bigcode"},
            ("attn_qkv.w", "attn_output.w", "ffn_up.w", "ffn_down.w"),
        ),
        (PAIRS / "falcon-new", {"kv_heads": 4, "heads": 8}, ("attn_qkv.",)),
        (PAIRS / "gemma3-cut", {"tokens": None}, ("token_embd.",)),
        (PAIRS / "internlm2", {"heads": 8, "kv_heads": 4, "head_dim": 4}, ("attn_q.", "attn_k.", "attn_v.")),
    ],
)
def test_wrong_rule_is_wrong_for_exactly_its_tensors(
    folder: Path, change: dict[str, object], wrong: tuple[str, ...]
) -> None:
    geometry = geometry_of(folder)
    architecture = geometry.architecture
    checkpoint = read_checkpoint(folder)
    other = Geometry(**{name: change.get(name, getattr(geometry, name)) for name in Geometry.__dataclass_fields__})
    products = {product.name: product for product in hf_to_gguf(other).products(checkpoint)}
    stored = read_gguf(folder / "gguf/bf16.gguf")
    found = set()
    for name, canonical in canonical_names(architecture, list(stored)).items():
        product = products.get(canonical)
        if product is not None and product.sources:
            values = apply_steps([checkpoint[source] for source in product.sources], product.steps)
            if not np.array_equal(values, stored[name]):
                found.add(name)
    assert found == {name for name in stored if any(part in name for part in wrong)}


def test_norm_of_a_float16_checkpoint_is_added_in_float16() -> None:
    folder = PAIRS / "gemma3-f16"
    name = "model.layers.0.input_layernorm.weight"
    weight, stored = read_checkpoint(folder)[name], read_gguf(folder / "gguf/bf16.gguf")["blk.0.attn_norm.weight"]
    assert weight.dtype == np.float16
    assert np.array_equal((weight + np.float16(1)).astype(np.float32), stored)
    assert not np.array_equal(weight.astype(np.float32) + 1, stored)


@pytest.mark.parametrize(
    "step", [PermuteRotaryRows(3), PermuteRotaryRows(1), RegroupQkv(6, 2), RegroupQkv(4, 1), RegroupQkv(2, 2)]
)
@pytest.mark.parametrize("shape", [(120,), (120, 5)])
def test_row_orders_and_their_inverses(step: PermuteRotaryRows | RegroupQkv, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    moved = apply_step(array, step)
    assert np.array_equal(array[step.order(120)], moved)
    assert np.array_equal(moved[step.inverse.order(120)], array)


@pytest.mark.parametrize("step", [PermuteRotaryRows(7), PermuteRotaryRows(0), RegroupQkv(5, 2), RegroupQkv(4, 0)])
def test_rows_that_do_not_divide_into_heads_are_refused(step: PermuteRotaryRows | RegroupQkv) -> None:
    with pytest.raises(ValueError, match="120 rows do not divide"):
        step.order(120)


def rules(architecture: str, **other: object) -> LayoutRules:
    base = {"layers": 1, "heads": 4, "kv_heads": 2, "head_dim": 8, "hidden": 32, "vocab": 48}
    return hf_to_gguf(Geometry(architecture, **{**base, **other}))


def test_unknown_architecture_is_taken_over_and_says_so() -> None:
    unknown = rules("rwkv9")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert unknown.products([name]) == [Product(name, (name,))]
    assert not unknown.proven
    assert unknown.note == "no layout rule for architecture rwkv9: rows compared as stored"
    assert rules("llama").proven
    assert rules("llama").note == ""


def test_rule_is_told_in_words() -> None:
    (product,) = rules("llama").products(["model.layers.0.self_attn.k_proj.bias"])
    assert product.rule == "k rows permuted for adjacent-pair rotary embedding, 2 kv heads"


@pytest.mark.parametrize(
    ("architecture", "name", "reason"),
    [
        ("gemma2", "lm_head.weight", "the head is always the embedding"),
        ("gpt2", "transformer.h.0.attn.bias", "buffer of the causal mask"),
        ("gpt2", "transformer.h.0.attn.masked_bias", "buffer of the causal mask"),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", "buffer computed from the rope configuration"),
    ],
)
def test_tensors_that_gguf_leaves_out(architecture: str, name: str, reason: str) -> None:
    assert rules(architecture).dropped([name, "model.norm.weight"]) == {name: reason}
    assert rules(architecture).products([name]) == []


def test_head_and_bias_of_gpt2_are_kept() -> None:
    names = ["lm_head.weight", "transformer.h.0.attn.c_attn.bias"]
    assert [product.name for product in rules("gpt2").products(names)] == names


def test_experts_are_stacked_in_the_order_of_their_numbers() -> None:
    names = [f"model.layers.0.mlp.experts.{index}.up_proj.weight" for index in (10, 2, 0)]
    (product,) = rules("qwen3_moe", experts=12).products(names)
    assert product.name == "model.layers.0.mlp.experts.up_proj.weight"
    assert product.sources == tuple(reversed(names))
    assert gguf_name("qwen3_moe", product.name) == "blk.0.ffn_up_exps.weight"
    assert product.rule == "3 experts stacked"


def test_norms_of_stablelms_heads_are_stacked() -> None:
    # llama.cpp's `_stack_qk_norm`; the converter of the pairs cannot be asked, it refuses these models.
    names = [f"model.layers.0.self_attn.k_layernorm.norms.{head}.weight" for head in range(2)]
    (product,) = rules("stablelm").products(names)
    assert product == Product(
        "model.layers.0.self_attn.k_layernorm.weight", tuple(names), (Stack(),), "2 heads' norms stacked"
    )
    assert gguf_name("stablelm", product.name) == "blk.0.attn_k_norm.weight"


@pytest.mark.parametrize("reverse", [False, True])
def test_split_parts_win_over_tensors_of_their_names(reverse: bool) -> None:
    # The names of both sides of a comparison may be asked for together.
    names = ["model.layers.0.attention.wqkv.weight", "model.layers.0.self_attn.q_proj.weight"]
    products = rules("internlm2").products(names[::-1] if reverse else names)
    assert {product.sources for product in products} == {(names[0],)}
    assert {product.name.split(".")[-2] for product in products} == {"q_proj", "k_proj", "v_proj"}
