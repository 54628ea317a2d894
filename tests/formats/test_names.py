"""Canonical names of every file we have, and of files whose converters name tensors in their own way."""

import json
import struct
from pathlib import Path

import pytest
from fixture_files import FIXTURES
from generate_name_templates import generate
from gguf import GGUFReader
from hypothesis import given
from hypothesis import strategies as st

from aprtui.formats.container import Container, Format
from aprtui.formats.names import (
    RowOrder,
    canonical_names,
    gguf_name,
    known_architectures,
    model_type_of,
    row_order,
)
from aprtui.formats.names.templates import gguf_side, templates, variants

PAIRS = Path(__file__).parent.parent / "data/architectures"


def apr_names(file: Path) -> list[str]:
    """Names in an APR v2 index: u16 length, name, two bytes, eight per dimension, sixteen."""
    data = file.read_bytes()
    (count,) = struct.unpack_from("<I", data, 8)
    (place,) = struct.unpack_from("<Q", data, 24)
    names = []
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, place)
        names.append(data[place + 2 : place + 2 + length].decode())
        place += 20 + length + 8 * data[place + 3 + length]
    return names


def safetensors_names(folder: Path) -> list[str]:
    names: list[str] = []
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            names += [name for name in json.loads(stream.read(size)) if name != "__metadata__"]
    return names


def gguf_names(file: Path) -> list[str]:
    return [tensor.name for tensor in GGUFReader(file).tensors]


def model_type_in(folder: Path) -> str:
    return json.loads((folder / "hf/config.json").read_text())["model_type"]


@pytest.mark.parametrize(
    "model", ["qwen2-tiny", "llama-tiny256", "gemma3-tiny", "phi3-tiny", "gpt2-tiny", "qwen3-tiny"]
)
def test_gguf_names_lead_back_to_the_checkpoints_names(model: str) -> None:
    folder = FIXTURES / model
    stored = gguf_names(folder / "gguf/bf16.gguf")
    names = canonical_names(model_type_in(folder), stored)
    assert sorted(names.values()) == sorted(safetensors_names(folder / "hf"))
    assert {gguf_name(model_type_in(folder), names[name]) for name in stored} == set(stored)


@pytest.mark.parametrize("model_type", sorted(known_architectures()))
def test_every_template_has_a_gguf_name_that_leads_back(model_type: str) -> None:
    for variant in variants(model_type):
        sides = [side for template in variant for side in gguf_side(template)]
        canonical = list(dict.fromkeys(side.replace("{layer}", "3") for side in sides))
        # llama.cpp leaves gemma's head out: it is always the embedding.
        if model_type in ("gemma", "gemma2"):
            canonical.remove("lm_head.weight")
        stored = [gguf_name(model_type, name) for name in canonical]
        assert None not in stored
        assert len(set(stored)) == len(stored)
        assert canonical_names(model_type, stored) == dict(zip(stored, canonical, strict=True))


@pytest.mark.parametrize("model_type", sorted(known_architectures()))
def test_checkpoint_names_are_canonical_already(model_type: str) -> None:
    stored = [name.replace("{layer}", "0").replace("{expert}", "1") for name in templates(model_type)]
    assert canonical_names(model_type, stored) == {name: name for name in stored}


def test_templates_are_what_transformers_saves() -> None:
    assert generate() == {name: [list(variant) for variant in variants(name)] for name in known_architectures()}


def test_names_of_a_file_that_mixes_gguf_and_checkpoint_names() -> None:
    # apr 0.72.3 maps gemma3's post_attention_layernorm to blk.N.ffn_norm, which is pre_feedforward_layernorm in GGUF,
    # and leaves the names it does not know.
    names = canonical_names("gemma3_text", gguf_names(FIXTURES / "apr/0.72.3/gemma3-tiny/sg.gguf"))
    assert names["blk.0.ffn_norm.weight"] == "model.layers.0.post_attention_layernorm.weight"
    assert set(names.values()) == {*safetensors_names(FIXTURES / "gemma3-tiny/hf"), "lm_head.weight"}
    good = canonical_names("gemma3_text", gguf_names(FIXTURES / "gemma3-tiny/gguf/bf16.gguf"))
    assert good["blk.0.ffn_norm.weight"] == "model.layers.0.pre_feedforward_layernorm.weight"


def test_names_in_every_apr_file_are_known() -> None:
    for file in sorted((FIXTURES / "apr").rglob("*.apr")):
        if file.read_bytes()[:4] != b"APR\0":
            continue
        folder = FIXTURES / file.parent.name
        names = canonical_names(model_type_in(folder), apr_names(file))
        checkpoint = set(safetensors_names(folder / "hf"))
        assert set(names.values()) | {"lm_head.weight"} == checkpoint | {"lm_head.weight"}, file


def test_apr_0_2_11_cuts_off_the_prefix() -> None:
    stored = apr_names(FIXTURES / "apr/0.2.11/qwen2-tiny/s-import.apr")
    assert "norm.weight" in stored
    names = canonical_names("qwen2", stored)
    assert all(canonical == f"model.{name}" for name, canonical in names.items())


def test_base_models_checkpoint_lacks_the_prefix() -> None:
    stored = ["h.0.attn.c_attn.weight", "h.0.attn.bias", "wte.weight", "ln_f.bias", "lm_head.weight"]
    names = canonical_names("gpt2", stored)
    assert [names[name] for name in stored] == [*(f"transformer.{name}" for name in stored[:4]), "lm_head.weight"]


def test_aprenders_names_for_gpt2() -> None:
    names = canonical_names(
        "gpt2",
        [
            "model.position_embedding.weight",
            "model.layers.4.mlp.up_proj.bias",
            "model.layers.4.self_attn.o_proj.weight",
            "model.layers.4.self_attn.q_proj.weight",
        ],
    )
    assert list(names.values()) == [
        "transformer.wpe.weight",
        "transformer.h.4.mlp.c_fc.bias",
        "transformer.h.4.attn.c_proj.weight",
        "model.layers.4.self_attn.q_proj.weight",
    ]


def test_gguf_suffixes_that_aprender_leaves_in_place() -> None:
    names = canonical_names("phi3", ["model.layers.2.attn_qkv.weight", "model.layers.2.input_layernorm.weight"])
    assert names["model.layers.2.attn_qkv.weight"] == "model.layers.2.self_attn.qkv_proj.weight"


def test_falcons_two_kinds_give_attn_norm_two_meanings() -> None:
    old = canonical_names("falcon", gguf_names(PAIRS / "falcon/gguf/bf16.gguf"))
    new = canonical_names("falcon", gguf_names(PAIRS / "falcon-new/gguf/bf16.gguf"))
    assert old["blk.1.attn_norm.bias"] == "transformer.h.1.input_layernorm.bias"
    assert new["blk.1.attn_norm.bias"] == "transformer.h.1.ln_mlp.bias"


def test_expert_and_its_stack_share_a_gguf_name() -> None:
    for name in ("mlp.experts.7.gate_proj", "mlp.experts.gate_proj"):
        assert gguf_name("qwen3_moe", f"model.layers.5.{name}.weight") == "blk.5.ffn_gate_exps.weight"


def test_unknown_architecture_is_named_like_llama() -> None:
    stored = [
        "blk.0.attn_q.weight",
        "blk.0.ffn_norm.weight",
        "token_embd.weight",
        "norm.weight",
        "blk.0.strange.weight",
    ]
    assert list(canonical_names("nobody-knows", stored).values()) == [
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.embed_tokens.weight",
        "model.norm.weight",
        "blk.0.strange.weight",
    ]
    assert gguf_name("nobody-knows", "model.layers.7.self_attn.q_proj.bias") == "blk.7.attn_q.bias"
    assert gguf_name("nobody-knows", "model.layers.7.unheard_of.weight") is None


def test_spellings_of_gguf_are_understood() -> None:
    assert [model_type_of(name) for name in ("gemma3", "qwen2moe", "phi2", "starcoder", "llama", "none")] == [
        "gemma3_text",
        "qwen2_moe",
        "phi",
        "gpt_bigcode",
        "llama",
        None,
    ]


_PARTS = st.sampled_from(
    [
        "model.",
        "layers.0.",
        "blk.0.",
        "h.1.",
        "norm.weight",
        "attn_q.weight",
        "self_attn.q_proj.weight",
        "output.weight",
    ]
)
_NAMES = st.lists(st.lists(_PARTS, max_size=4).map("".join) | st.text(max_size=8), unique=True, max_size=12)


@given(_NAMES, st.sampled_from(["llama", "gpt2", "gemma3_text", "internlm2", "?"]))
def test_no_two_tensors_ever_share_a_canonical_name(stored: list[str], architecture: str) -> None:
    names = canonical_names(architecture, stored)
    assert list(names) == stored
    assert len(set(names.values())) == len(stored)


@pytest.mark.parametrize(
    ("file_format", "name", "order"),
    [
        (Format.APR, "blk.0.attn_q.weight", RowOrder.GGUF),
        (Format.APR, "output_norm.weight", RowOrder.GGUF),
        (Format.APR, "model.layers.0.self_attn.q_proj.weight", RowOrder.HF),
        (Format.APR, "lm_head.weight", RowOrder.HF),
        (Format.GGUF, "model.layers.0.post_feedforward_layernorm.weight", RowOrder.GGUF),
        (Format.SAFETENSORS, "blk.0.attn_q.weight", RowOrder.HF),
    ],
)
def test_rows_follow_names_in_apr_and_the_format_elsewhere(file_format: Format, name: str, order: RowOrder) -> None:
    container = Container(file_format, Path("x"), (), (), {})
    assert row_order(container, name) is order
