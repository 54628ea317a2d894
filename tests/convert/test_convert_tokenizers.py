"""Tokenizers that can be rebuilt, and what is said about those that cannot."""

import json
import shutil
from dataclasses import replace

import pytest
from fixture_files import FIXTURES
from tokenizers import Tokenizer

from aprtui.compare.tokenizer import compare_tokenizers
from aprtui.convert.builtin import BuiltinConverter
from aprtui.convert.builtin.facts import ModelFacts
from aprtui.convert.builtin.product import write_product
from aprtui.convert.builtin.tokenizer_json import cannot_rebuild, tokenizer_json
from aprtui.core.outcomes import Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.formats.tokenizer import TokenizerModel
from aprtui.formats.tokenizer.facts import PreTokenizer

LOSSLESS = parse_output_type("lossless")
QWEN = FIXTURES / "qwen2-tiny/hf"


def facts_of(path):
    model = open_model(path)
    return ModelFacts("", model.architecture, model.config.values, frozenset(), model.tokenizer, 509, 509)


@pytest.mark.parametrize("pre", ["qwen2", "llama3", "gpt-2", "smollm", "tekken", "gpt-4o", "deepseek-v3"])
def test_tokenizers_takes_every_pre_tokenizer_that_has_a_name(pre):
    facts = facts_of(QWEN)
    tokenizer = replace(facts.tokenizer, pre_tokenizer=PreTokenizer(pre), add_bos=True)
    assert cannot_rebuild(tokenizer) is None
    rebuilt = Tokenizer.from_str(json.dumps(tokenizer_json(facts, tokenizer)))
    text = "Hello 12345 world's\n\n  x"
    ids = rebuilt.encode(text).ids
    assert ids[0] == 509 and rebuilt.decode(ids) == text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": TokenizerModel.SENTENCEPIECE}, "sentencepiece, and only byte-level BPE is rebuilt"),
        ({"model": None}, "of an unknown kind"),
        ({"merges": None, "token_types": None}, "lacks merges and token types"),
        ({"pre_tokenizer": PreTokenizer(None, "0123")}, "has no name that we know"),
        ({"pre_tokenizer": PreTokenizer("default")}, "how the pre-tokenizer default splits text is not known"),
    ],
)
def test_other_tokenizers_are_refused_with_a_reason(change, reason):
    tokenizer = facts_of(QWEN).tokenizer
    assert cannot_rebuild(tokenizer) is None
    assert reason in (cannot_rebuild(replace(tokenizer, **change)) or "")


def test_a_product_without_a_tokenizer_says_so_and_is_falsified(tmp_path):
    source = FIXTURES / "apr/0.72.3/qwen2-tiny/s-import.apr"  # It has no token types.
    model = open_model(source)
    lacks = write_product(model, Format.SAFETENSORS, tmp_path, LOSSLESS)
    assert lacks == ("tokenizer: the source's tokenizer lacks token types",)
    result = compare_tokenizers(model.tokenizer, open_model(tmp_path).tokenizer)
    assert result.outcome is Outcome.FALSIFIED and result.findings[0].subject == "missing"


def test_one_of_several_ends_of_text_is_the_tokenizers(tmp_path):
    source = tmp_path / "hf"
    shutil.copytree(FIXTURES / "llama-tiny256/hf", source)
    for name in ("config.json", "generation_config.json"):
        content = json.loads((source / name).read_text(encoding="utf-8"))
        (source / name).write_text(json.dumps(content | {"eos_token_id": [509, 511]}), encoding="utf-8")
    product = BuiltinConverter().convert(source, Format.GGUF, tmp_path, LOSSLESS)
    assert open_model(product).config.values["eos_token_id"] == (510,)


def test_files_beside_a_checkpoint_are_copied_as_they_are(tmp_path):
    source = FIXTURES / "qwen3-sharded-tiny/hf"
    product = BuiltinConverter().convert(source, Format.SAFETENSORS, tmp_path, LOSSLESS)
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (product / name).read_bytes() == (source / name).read_bytes()
    assert sorted(product.glob("*.safetensors*")) == [product / "model.safetensors"]
