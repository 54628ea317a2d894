"""Good products of every format that faults are injected into, each with the source that it must equal."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fixture_files import FIXTURES

from aprtui.faults.draft import draft_of
from aprtui.faults.metadata_whole import rename_prefix
from aprtui.faults.writing import write_draft
from aprtui.formats.apr import write_apr
from aprtui.formats.bytes import tensor_bytes
from aprtui.formats.container import Format
from aprtui.formats.metadata.architectures import row_pairing
from aprtui.formats.metadata.keys import KEYS
from aprtui.formats.model import Model, open_model
from aprtui.formats.names import RowOrder
from aprtui.formats.output import TensorToWrite

ARCHITECTURES = Path(__file__).parent / "data" / "architectures"


@dataclass(frozen=True, eq=False)
class Product:
    """A good product.

    Attributes:
        format: Its format.
        source: What it was converted from.
        path: What to open; for APR of `ARCHITECTURES` the checkpoint that `as_apr` copies.
        asked_for: The output type that it was made with.
        made_here: An APR that is written by the test, because no converter writes this architecture.
        stated: Raw keys that are written into a copy of the product, which then is its own source; a key that begins
            with a dot belongs to the architecture of a GGUF.
    """

    format: Format
    source: Path
    path: Path
    asked_for: str = "lossless"
    made_here: bool = False
    stated: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Short and unique."""
        place = self.path.relative_to(ARCHITECTURES if ARCHITECTURES in self.path.parents else FIXTURES)
        return f"{self.format.value}:{place}" + ("".join(f" {key}" for key, _ in self.stated))


def _hf(name: str) -> Path:
    return FIXTURES / name / "hf"


def _gguf(model: str, kind: str, asked_for: str) -> Product:
    return Product(Format.GGUF, _hf(model), FIXTURES / model / "gguf" / f"{kind}.gguf", asked_for)


def _apr(model: str, kind: str, asked_for: str = "lossless", source: str = "hf") -> Product:
    path = FIXTURES / "apr" / "0.72.3" / model / f"{kind}.apr"
    return Product(Format.APR, FIXTURES / model / source, path, asked_for)


def _of_architectures(*names: str) -> list[Path]:
    return [ARCHITECTURES / name for name in names]


_PAIRS = _of_architectures(
    "llama-bias-rope", "internlm2", "gemma", "gemma2", "gemma3-f16", "falcon-new", "mixtral", "qwen2_moe", "qwen3_moe"
) + _of_architectures("granite", "phi3-longrope", "phi", "olmo2", "stablelm", "starcoder2", "mistral", "gpt_bigcode")

QUANTISED = [
    _gguf("llama-tiny256", kind, kind.lower())
    for kind in (
        "Q4_0",
        "Q4_1",
        "Q5_0",
        "Q5_1",
        "Q8_0",
        "Q2_K",
        "Q3_K_M",
        "Q4_K_M",
        "Q5_K_M",
        "Q6_K",
        "IQ4_NL",
        "IQ4_XS",
    )
]

# What no fixture states. Names differ between the formats, so that each has its own list.
_SCALING = {"rope_type": "linear", "factor": 8.0}
_GRANITE = {"embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 8.0}
_EXPERTS = {"n_shared_experts": 2, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5}
_SOFTCAPS = {"attn_logit_softcapping": 40.0, "final_logit_softcapping": 20.0}
_SENTENCEPIECE = {"model": "llama", "scores": [-float(number) for number in range(512)]}


def _stating(format_: Format, architecture: str, stated: dict[str, Any]) -> Product:
    checkpoint = ARCHITECTURES / architecture / "hf"
    path = ARCHITECTURES / architecture / "gguf" / "bf16.gguf" if format_ is Format.GGUF else checkpoint
    return Product(format_, path, path, made_here=format_ is Format.APR, stated=tuple(stated.items()))


STATING = [
    *(
        _stating(format_, architecture, stated)
        for format_ in (Format.SAFETENSORS, Format.APR)
        for architecture, stated in (
            ("granite", _GRANITE),
            ("qwen2_moe", _EXPERTS),
            ("gemma2", _SOFTCAPS),
            ("llama-bias-rope", {"rope_scaling": _SCALING}),
            ("phi", {"partial_rotary_factor": 0.25, "rope_parameters": None}),
        )
    ),
    _stating(Format.SAFETENSORS, "gemma3-cut", {"rope_parameters": None, "rope_local_base_freq": 20000.0}),
    _stating(Format.GGUF, "granite", {f".{key}": value for key, value in (
        ("embedding_scale", 12.0), ("residual_scale", 0.22), ("logit_scale", 8.0), ("attention.scale", 0.5))}),
    _stating(Format.GGUF, "qwen2_moe", {f".{key}": value for key, value in (
        ("expert_shared_count", 2), ("leading_dense_block_count", 1), ("expert_weights_scale", 2.5))}),
    _stating(Format.GGUF, "gemma2", {f".{key}": value for key, value in _SOFTCAPS.items()}),
    _stating(Format.GGUF, "gemma3-cut", {".rope.freq_base_swa": 20000.0, ".rope.scaling.type": "yarn",
        ".rope.scaling.factor": 8.0, ".attention.sliding_window": 8,
        ".attention.sliding_window_pattern": [True, False]}),
    _stating(Format.GGUF, "phi", {".rope.dimension_count": 2}),
    _stating(Format.GGUF, "mixtral", {}),
    _stating(Format.GGUF, "qwen3_moe", {"general.architecture": "glm4moe", ".expert_weights_norm": True}),
]  # fmt: skip

PRODUCTS: list[Product] = [
    _gguf("qwen2-tiny", "bf16", "bf16"),
    _gguf("qwen2-tiny", "f32", "f32"),
    _gguf("qwen2-tiny", "f16", "f16"),
    _gguf("qwen2-tiny", "Q8_0", "q8_0"),
    _gguf("llama-tiny256", "bf16", "bf16"),
    *(_gguf(name, "bf16", "bf16") for name in ("gpt2-tiny", "gemma3-tiny", "phi3-tiny", "qwen3-tiny")),
    *QUANTISED,
    *(Product(Format.GGUF, pair / "hf", pair / "gguf" / "bf16.gguf", "bf16") for pair in _PAIRS),
    _apr("qwen2-tiny", "g-bf16-import", source="gguf/bf16.gguf"),
    _apr("qwen2-tiny", "g-f16-import", source="gguf/f16.gguf"),
    _apr("qwen2-tiny", "s-import-q4k", "q4_k"),
    _apr("qwen2-tiny", "s-import-int4", "int4"),
    _apr("qwen2-tiny", "s-import-int8", "int8"),
    _apr("llama-tiny256", "s-import"),
    _apr("llama-tiny256", "g-bf16-import", source="gguf/bf16.gguf"),
    _apr("llama-tiny256", "g-Q4_K_M-import", "q4_k_m", "gguf/Q4_K_M.gguf"),
    _apr("llama-tiny256", "s-import-int4", "int4"),
    *(Product(Format.APR, _hf(name), _hf(name), made_here=True) for name in ("gpt2-tiny", "gemma3-tiny", "qwen3-tiny")),
    *(Product(Format.APR, pair / "hf", pair / "hf", made_here=True) for pair in _PAIRS),
    *(
        Product(Format.SAFETENSORS, _hf(name), _hf(name))
        for name in ("qwen2-tiny", "llama-tiny256", "gpt2-tiny", "gemma3-tiny", "phi3-tiny", "qwen3-sharded-tiny")
    ),
    *(Product(Format.SAFETENSORS, pair / "hf", pair / "hf") for pair in _PAIRS),
    *STATING,
    Product(
        Format.GGUF,
        _hf("qwen2-tiny"),
        FIXTURES / "qwen2-tiny" / "gguf" / "bf16.gguf",
        stated=tuple((f"tokenizer.ggml.{key}", value) for key, value in _SENTENCEPIECE.items()),
    ),
    Product(
        Format.APR,
        _hf("qwen2-tiny"),
        _hf("qwen2-tiny"),
        made_here=True,
        stated=tuple((f"tokenizer.{key}", value) for key, value in _SENTENCEPIECE.items()),
    ),
]
"""Real ones first within a format, then those that are written here."""


@cache
def opened(path: Path) -> Model:
    """A model, opened once."""
    return open_model(path)


def products_of(format_: Format) -> Iterator[Product]:
    """The good products of a format, in the order in which faults are tried on them."""
    return (product for product in PRODUCTS if product.format is format_)


@cache
def good_model(product: Product, scratch: Path) -> Model:
    """The opened product, written first where no converter made it."""
    model = opened(product.path)
    place = scratch / f"good-{PRODUCTS.index(product)}"
    if product.made_here:
        place.mkdir(exist_ok=True)
        model = open_model(as_apr(model, place / "model.apr"))
    return _stating_more(product, model, place / "stating") if product.stated else model


def source_model(product: Product, scratch: Path) -> Model:
    """What a product must equal: its source, or itself where the test wrote keys into it."""
    return good_model(product, scratch) if product.stated else opened(product.source)


def _stating_more(product: Product, model: Model, place: Path) -> Model:
    place.mkdir(parents=True)
    draft = draft_of(model)
    main = draft.header.main
    for key, value in product.stated:
        if key == "general.architecture":
            rename_prefix(draft, main[key], value)
        name = f"{main.get('general.architecture')}{key}" if key.startswith(".") else key
        main[name] = value
    return open_model(write_draft(draft, place))


def as_apr(model: Model, path: Path) -> Path:
    """A checkpoint as APR, tensor by tensor, with every key that APR has a place for."""
    values = dict(model.config.values)
    values["rope_type"] = row_pairing(str(model.config.architecture), RowOrder.HF)
    metadata = {"architecture": model.config.architecture}
    for key in KEYS:
        value = values.get(key.name)
        if key.apr and value is not None:
            metadata[key.apr[0]] = list(value) if isinstance(value, tuple) else value
    for name in ("bos_token_id", "eos_token_id"):
        ids = values.get(name)
        if ids:
            metadata[f"tokenizer.{name}"] = ids[0]
    facts = model.tokenizer
    if facts is not None and facts.pre_tokenizer is not None:
        metadata |= {
            "tokenizer.model": "gpt2",
            "tokenizer.vocabulary": list(facts.vocabulary or ()),
            "tokenizer.merges": list(facts.merges or ()),
            "tokenizer.token_type": list(facts.token_types or ()),
            "tokenizer.pre_type": facts.pre_tokenizer.name,
            "tokenizer.add_bos_token": bool(facts.add_bos),
            "tokenizer.chat_template": facts.chat_template,
            "tokenizer.padding_token_id": facts.special_ids.get("pad"),
        }
    tensors = [
        TensorToWrite(tensor.name, tensor.dtype, tensor.shape, [tensor_bytes(tensor)])
        for tensor in model.container.tensors
    ]
    write_apr(path, {key: value for key, value in metadata.items() if value is not None}, tensors)
    return path


def copy_of(directory: Path, destination: Path) -> Path:
    """A copy of a Hugging Face directory."""
    return Path(shutil.copytree(directory, destination))
