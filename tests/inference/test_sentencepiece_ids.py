"""Ids of sentencepiece models: `tokenizer.model` against ids that llama.cpp ships, unigram against llama.cpp itself."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from fixture_files import FIXTURES, vocabularies
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers.utils.sentencepiece_model_pb2_new import ModelProto

from aprtui.compare.token_ids import tokenizer_level
from aprtui.convert.builtin.product import write_product
from aprtui.core.outcomes import Outcome
from aprtui.formats.container import Format
from aprtui.formats.gguf import GgufValue, ValueType, write_gguf
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.formats.tokenizer import TokenizerModel
from aprtui.inference.tokenizers import PROBES, NoEncoderError, encode_texts, encoders
from aprtui.inference.tokenizers.llama_vocabulary import llama_cpp_ids
from aprtui.inference.tokenizers.rebuild import rebuilt_json

SEPARATOR = "\n__ggml_vocab_test__\n"
PLAIN = tuple(text for text in PROBES if "??" not in text)  # "? ??" and "?? ?" have the same score.

SMALL = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("▁He", -3.0, 1), ("He", -2.0, 1), ("▁H", -4.0, 1)]
SMALL += [*((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)), *((letter, -9.0, 1) for letter in "▁He")]


@pytest.fixture(autouse=True)
def nothing_remembered():
    encoders._known.clear()


def checkpoint(folder, pieces, *, unigram, prefix=True, table=b""):
    """A Hugging Face folder with a `tokenizer.model` and no weights worth the name."""
    proto = ModelProto()
    for text, score, kind in pieces:
        proto.pieces.add(piece=text, score=score, type=kind)
    proto.trainer_spec.model_type = 1 if unigram else 2
    proto.normalizer_spec.add_dummy_prefix = prefix
    proto.normalizer_spec.precompiled_charsmap = table
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
    config = {"model_type": "llama", "bos_token_id": 1, "eos_token_id": 2}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    flags = {"add_bos_token": False, "add_eos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(flags), encoding="utf-8")
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    return open_model(folder)


def spm_pieces():
    facts = open_model(vocabularies() / "ggml-vocab-llama-spm.gguf").tokenizer
    return list(zip(facts.vocabulary, map(float, facts.scores), map(int, facts.token_types), strict=True))


def test_a_tokenizer_model_gives_the_ids_that_llama_cpp_ships(tmp_path):
    path = vocabularies() / "ggml-vocab-llama-spm.gguf"
    texts = (path.parent / f"{path.name}.inp").read_text(encoding="utf-8").split(SEPARATOR)
    lines = (path.parent / f"{path.name}.out").read_text().split("\n")
    model = checkpoint(tmp_path / "m", spm_pieces(), unigram=False)
    assert model.tokenizer.model is TokenizerModel.SENTENCEPIECE
    encoded = encode_texts(model, texts)
    assert encoded.how.startswith("rebuilt from its SafeTensors facts")
    assert list(encoded.ids) == [tuple(map(int, line.split())) for line in lines]


@pytest.mark.parametrize("prefix", [True, False])
def test_a_space_in_front_is_compared(prefix, tmp_path):
    """Gemma's `tokenizer.model` puts none there."""
    source = checkpoint(tmp_path / "a", SMALL, unigram=False, prefix=prefix)
    target = checkpoint(tmp_path / "b", SMALL, unigram=False)
    failed = [finding.subject for finding in tokenizer_level(source, target).failures]
    assert failed == ([] if prefix else ["space_prefix"])
    (ids,) = encode_texts(source, ["He"]).ids
    assert [source.tokenizer.vocabulary[number] for number in ids] == ["▁He" if prefix else "He"]


def test_tokens_without_a_type_are_plain_text():
    facts = open_model(vocabularies() / "ggml-vocab-llama-spm.gguf").tokenizer
    short = replace(facts, vocabulary=facts.vocabulary[:400], token_types=facts.token_types[:300])
    assert rebuilt_json(short) == rebuilt_json(replace(short, token_types=[*facts.token_types[:300], *[1] * 100]))


def both_files(folder, damage=None):
    """A tokenizer.model, and beside it the tokenizer.json that goes with it."""
    model = checkpoint(folder, SMALL, unigram=False)
    content = rebuilt_json(model.tokenizer)
    if damage is not None:
        damage(content["model"])
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return open_model(folder)


def test_a_tokenizer_json_speaks_beside_a_tokenizer_model_too(tmp_path):
    source = both_files(tmp_path / "a")
    assert encode_texts(source, PROBES).how.startswith("tokenizer.json")
    assert tokenizer_level(source, both_files(tmp_path / "good")).outcome is Outcome.CORROBORATED
    damaged = both_files(tmp_path / "bad", lambda model: model["merges"].clear())
    result = tokenizer_level(source, damaged)
    assert [finding.subject for finding in result.failures] == ["ids"]


def test_a_tokenizer_json_beside_a_tokenizer_model_of_another_kind_needs_no_known_pre_tokenizer(tmp_path):
    shutil.copytree(FIXTURES / "qwen2-tiny/hf", tmp_path / "m")
    path = tmp_path / "m/tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["pre_tokenizer"]["pretokenizers"].insert(0, {"type": "Punctuation", "behavior": "Isolated"})
    path.chmod(0o644)
    path.write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "m/tokenizer.model").write_text("IQ== 0\nIg== 1\n", encoding="ascii")
    assert encode_texts(open_model(tmp_path / "m"), PROBES).how.startswith("tokenizer.json")


def unigram_pieces():
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False)
    trained.train_from_iterator(PROBES * 3, trainer)
    vocabulary = json.loads(trained.to_str())["model"]["vocab"]
    kinds = [3, 3, 2] + [1] * (len(vocabulary) - 3)
    return [(text, score, kind) for (text, score), kind in zip(vocabulary, kinds, strict=True)]


def unigram_keys(pieces, **flags):
    tokens, scores, kinds = zip(*pieces, strict=True)
    keys = {"model": "t5", "tokens": list(tokens), "scores": np.array(scores, "<f4")}
    keys |= {"token_type": np.array(kinds, "<i4"), "eos_token_id": 1, "unknown_token_id": 2, **flags}
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


@pytest.mark.parametrize("prefix", [True, False])
def test_a_unigram_model_gives_llama_cpps_ids(prefix, tmp_path):
    pieces = unigram_pieces()
    model = checkpoint(tmp_path / "m", pieces, unigram=True, prefix=prefix)
    assert model.tokenizer.model is TokenizerModel.UNIGRAM
    theirs = llama_cpp_ids(gguf_values(unigram_keys(pieces, add_space_prefix=prefix)), PLAIN)
    assert [[*ids, 1] for ids in encode_texts(model, PLAIN).ids] == theirs


def gguf_values(keys):
    kinds = {"tokens": ValueType.STRING, "scores": ValueType.FLOAT32, "token_type": ValueType.INT32}
    plain = {bool: ValueType.BOOL, str: ValueType.STRING, int: ValueType.UINT32}
    values = []
    for key, value in keys.items():
        element = kinds.get(key.rpartition(".")[2])
        values.append(GgufValue(key, value, ValueType.ARRAY if element else plain[type(value)], element))
    return values


def unigram_gguf(path, keys):
    architecture = GgufValue("general.architecture", "llama", ValueType.STRING)
    write_gguf(path, [architecture, *gguf_values(keys)], [])
    return open_model(path)


def test_ids_of_one_file_are_not_those_of_another_that_differs_in_llama_cpps_keys_alone(tmp_path):
    """No other format states whether repeated spaces count."""
    pieces = unigram_pieces()
    a, b = (
        unigram_gguf(tmp_path / f"{flag}.gguf", unigram_keys(pieces, remove_extra_whitespaces=flag))
        for flag in (True, False)
    )
    result = tokenizer_level(a, b)
    assert [finding.subject for finding in result.failures] == ["ids"]
    assert encode_texts(a, ["a  b"]).ids != encode_texts(b, ["a  b"]).ids


def test_defaults_of_a_unigram_gguf_are_llama_cpps(tmp_path, monkeypatch):
    keys = unigram_keys(unigram_pieces())
    model = unigram_gguf(tmp_path / "m.gguf", keys)
    monkeypatch.setattr(encoders, "installed_version", lambda: None)
    encoded = encode_texts(model, PLAIN)
    assert encoded.how.startswith("rebuilt from its GGUF facts")
    assert [list(ids) for ids in encoded.ids] == llama_cpp_ids(gguf_values(keys), PLAIN)


def test_a_table_of_replacements_is_not_rebuilt(tmp_path):
    model = checkpoint(tmp_path / "m", unigram_pieces(), unigram=True, table=b"\x01")
    with pytest.raises(NoEncoderError, match="replaces characters by a table of its own"):
        encode_texts(model, ["a"])
    tabled = checkpoint(tmp_path / "other", SMALL, unigram=False, table=b"\x01")
    assert encode_texts(tabled, ["He"]).ids
    assert tokenizer_level(model, tabled).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize("prefix", [True, False])
def test_a_converted_gguf_keeps_the_flag(prefix, tmp_path):
    folder = checkpoint(tmp_path / "m", SMALL, unigram=False, prefix=prefix).path
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(FIXTURES / "llama-tiny256/hf" / name, folder / name)
    source = open_model(folder)
    write_product(source, Format.GGUF, tmp_path / "m.gguf", parse_output_type("lossless"))
    target = open_model(tmp_path / "m.gguf")
    assert target.tokenizer.space_prefix is prefix
    result = tokenizer_level(source, target)
    assert (result.outcome, result.failures) == (Outcome.CORROBORATED, ())
    assert any("target: llama.cpp" in finding.message for finding in result.findings)
