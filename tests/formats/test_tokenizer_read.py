import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from fixture_files import FIXTURES
from gguf.vocab import SpecialVocab
from model_files import container, hugging_face, with_metadata
from transformers import AutoTokenizer
from transformers.utils.sentencepiece_model_pb2_new import ModelProto

from aprtui.core.errors import FormatError
from aprtui.formats.tokenizer import TokenizerModel, TokenType, read_tokenizer
from aprtui.formats.tokenizer.sentencepiece import read_sentencepiece

MODELS = ("llama-tiny256", "qwen2-tiny", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")
BPE = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 3}, "merges": ["a b"]}


def facts(folder, **files):
    return read_tokenizer(hugging_face(folder, **files))


@pytest.mark.parametrize("model", MODELS)
def test_tokenizer_json_and_gguf_say_the_same(model):
    from_json = read_tokenizer(container(FIXTURES / model / "hf"))
    from_gguf = read_tokenizer(container(FIXTURES / model / "gguf/bf16.gguf"))
    assert from_json.model is from_gguf.model is TokenizerModel.BPE
    for part in ("vocabulary", "merges", "token_types"):
        assert list(getattr(from_json, part)) == list(getattr(from_gguf, part)), part
    for part in ("special_ids", "add_bos", "add_eos", "chat_template"):
        assert getattr(from_json, part) == getattr(from_gguf, part), part
    assert from_json.pre_tokenizer.name == from_gguf.pre_tokenizer.name
    assert from_json.problems == from_gguf.problems == ()


@pytest.mark.parametrize("model", MODELS)
def test_special_ids_and_flags_are_those_of_gguf_py(model):
    folder = FIXTURES / model / "hf"
    oracle, found = SpecialVocab(folder, load_merges=True), read_tokenizer(container(folder))
    ids = {kind: number for kind, number in oracle.special_token_ids.items() if kind not in ("bos", "eos")}
    assert found.special_ids == ids
    # Older releases of gguf say nothing where no special token is added.
    for kind, flag in (("bos", found.add_bos), ("eos", found.add_eos)):
        assert flag is oracle.add_special_token.get(kind, False)
    assert found.merges == oracle.merges
    assert found.chat_template == oracle.chat_template


TEMPLATE = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
BOTH = {"bos_token": "<s>", "eos_token": "</s>"}
SEQUENCE = {"Sequence": {"id": "A", "type_id": 0}}


def special(name):
    return {"SpecialToken": {"id": name, "type_id": 0}}


@pytest.mark.parametrize(
    ("post", "config"),
    [
        ({**TEMPLATE, "single": [special("<s>"), SEQUENCE]}, {"bos_token": "<s>"}),
        (
            {**TEMPLATE, "single": [special("<s>"), SEQUENCE, special("</s>")]},
            {"bos_token": "<s>", "eos_token": "</s>"},
        ),
        ({**TEMPLATE, "single": [SEQUENCE, special("</s>")]}, BOTH),
        ({**TEMPLATE, "single": [SEQUENCE]}, {"add_bos_token": True}),
        ({"type": "RobertaProcessing", "cls": ["<s>", 1], "sep": ["</s>", 2]}, {"bos_token": "<s>"}),
        (None, {"add_bos_token": False, "add_eos_token": True}),
    ],
)
def test_flags_of_post_processors_are_those_of_gguf_py(tmp_path, post, config):
    added = [{"id": 4, "content": "<s>", "special": True}, {"id": 5, "content": "</s>", "special": True}]
    whole = {"model": BPE, "added_tokens": added, "post_processor": post}
    found = facts(tmp_path, tokenizer=whole, tokenizer_config={"x": 1, **config})
    oracle = SpecialVocab(tmp_path).add_special_token
    assert (found.add_bos, found.add_eos) == (oracle.get("bos"), oracle.get("eos"))


def test_a_post_processor_that_adds_nothing_overrules_the_config(tmp_path):
    whole = {"model": BPE, "post_processor": {"type": "ByteLevel"}}
    found = facts(tmp_path, tokenizer=whole, tokenizer_config={"add_bos_token": True, "add_eos_token": True})
    assert (found.add_bos, found.add_eos) == (False, False)


def test_types_gaps_and_added_tokens(tmp_path):
    added = [
        {"id": 4, "content": "<s>", "special": True},
        {"id": 5, "content": "<|looks|>", "special": False},
        {"id": 7, "content": "▁user", "special": False},
    ]
    found = facts(tmp_path, tokenizer={"model": BPE, "added_tokens": added})
    assert found.vocabulary == ["a", "b", "[PAD2]", "ab", "<s>", "<|looks|>", "[PAD6]", " user"]
    kinds = (
        *(TokenType.NORMAL, TokenType.NORMAL, TokenType.UNUSED, TokenType.NORMAL),
        *(TokenType.CONTROL, TokenType.CONTROL, TokenType.UNUSED, TokenType.USER_DEFINED),
    )
    assert tuple(found.token_types) == kinds


def test_merges_in_both_forms(tmp_path):
    pairs = facts(tmp_path / "new", tokenizer={"model": {**BPE, "merges": [["a", "b"], [" ", "a"]]}})
    texts = facts(tmp_path / "old", tokenizer={"model": {**BPE, "merges": ["a b", "Ġ a"]}})
    assert pairs.merges == texts.merges == ["a b", "Ġ a"]


def test_vocab_json_with_merges_txt(tmp_path):
    found = facts(
        tmp_path,
        vocab={"a": 0, "b": 1, "ab": 2},
        merges="#version: 0.2\na b\n",
        added_tokens={"<x>": 3},
        tokenizer_config={"tokenizer_class": "GPT2Tokenizer"},
    )
    assert found.vocabulary == ["a", "b", "ab", "<x>"]
    assert (found.merges, found.pre_tokenizer.name) == (["a b"], "gpt-2")


def test_byte_fallback_is_sentencepiece(tmp_path):
    vocabulary = {"<unk>": 0, "<0x0A>": 1, "a": 2}
    model = {"type": "BPE", "vocab": vocabulary, "byte_fallback": True, "unk_token": "<unk>", "merges": []}
    found = facts(tmp_path, tokenizer={"model": model})
    assert found.model is TokenizerModel.SENTENCEPIECE
    assert found.token_types == [TokenType.UNKNOWN, TokenType.BYTE, TokenType.NORMAL]


def test_of_several_templates_the_default_counts(tmp_path):
    several = [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]
    config = {"chat_template": several}
    assert facts(tmp_path / "a", tokenizer={"model": BPE}, tokenizer_config=config).chat_template == "D"
    assert facts(tmp_path / "b", tokenizer={"model": BPE}, jinja="J\n").chat_template == "J\n"


DIVERGING = {"chat_template": [{"name": "default", "template": "C"}, {"name": "rag", "template": "R"}]}


@pytest.mark.parametrize(
    ("stated", "files", "noted"),
    [
        (None, {"chat_template": "D", "additional_chat_templates/tool_use": "T"}, False),
        ({"chat_template": "D"}, {"chat_template": "D"}, False),
        ({"chat_template": "C"}, {"chat_template": "D"}, True),
        (DIVERGING, {"chat_template": "D", "additional_chat_templates/tool_use": "T"}, True),
        ({"chat_template": "C"}, {"additional_chat_templates/tool_use": "T"}, True),
        (DIVERGING, {}, False),
        ({"chat_template": {"default": "C", "rag": "R"}}, {}, False),
    ],
)
def test_templates_are_those_that_transformers_takes(stated, files, noted, tmp_path):
    tokenizer = {"version": "1.0", "model": {**BPE, "merges": []}, "added_tokens": []}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **(stated or {})}
    hugging_face(tmp_path, tokenizer=tokenizer, tokenizer_config=config)
    for name, text in files.items():
        path = tmp_path / f"{name}.jinja"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = read_tokenizer(container(tmp_path))
    theirs = AutoTokenizer.from_pretrained(tmp_path).chat_template
    assert found.templates == ({"default": theirs} if isinstance(theirs, str) else theirs)
    notes = [problem for problem in found.problems if problem.subject == "chat_template"]
    assert [(note.is_failure, "the files count" in note.message) for note in notes] == [(False, True)] * noted


@pytest.mark.parametrize("added", [5, 1e300, "x", {"a": 1}, [1], [{"content": ["a"], "id": 1}], [{"content": {}}]])
def test_added_tokens_of_any_shape_are_read(added, tmp_path):
    config = {"pad_token": "<pad>", "added_tokens_decoder": {"4": {"content": "<pad>"}}}
    found = facts(tmp_path, tokenizer={"model": BPE, "added_tokens": added}, tokenizer_config=config)
    assert found.vocabulary == ["a", "b", "[PAD2]", "ab", "<pad>"]
    assert dict(found.special_ids) == {}


@pytest.mark.parametrize("entry", [[1, 2.0], [["b"], 2.0], ["b", "c"], ["b", 10**400], ["b", float("nan")], ["b"], 3])
def test_an_entry_of_a_unigram_vocabulary_that_is_none_moves_no_other(entry, tmp_path):
    vocabulary = [["<unk>", 0.0], entry, ["a", -1.0]]
    found = facts(tmp_path, tokenizer={"model": {"type": "Unigram", "vocab": vocabulary}})
    assert found.vocabulary == ["<unk>", "[PAD1]", "a"]
    assert found.scores is None
    assert [one.message for one in found.problems] == ["1 entries are not a text with a score"]


def test_a_second_default_template_of_a_gguf_hides_the_first_from_nobody():
    gguf = container(FIXTURES / "qwen3-tiny/gguf/bf16.gguf")
    changes = {"tokenizer__chat_template": "wrong", "tokenizer__chat_template__default": "right"}
    assert read_tokenizer(with_metadata(gguf, **changes)).templates == {"default": "wrong"}


def test_a_flag_of_gguf_that_is_an_array_is_a_problem():
    gguf = container(FIXTURES / "llama-tiny256/gguf/bf16.gguf")
    changed = with_metadata(gguf, tokenizer__ggml__remove_extra_whitespaces=np.array([1, 2]))
    (problem,) = read_tokenizer(changed).problems
    assert problem.message == "the value is not true or false"


def test_no_tokenizer_and_a_stub(tmp_path):
    assert facts(tmp_path / "none", config={"model_type": "llama"}) is None
    stub = facts(tmp_path / "stub", tokenizer={"version": "1.0"})
    assert "stub" in stub.stub
    assert read_tokenizer(container(FIXTURES / "apr/0.2.11/qwen2-tiny/s-import.apr")) is None


def sentencepiece_model(pieces):
    model = ModelProto()
    for text, score, kind in pieces:
        model.pieces.add(piece=text, score=score, type=kind)
    model.trainer_spec.model_type = 2
    model.normalizer_spec.name = "identity"
    return model.SerializeToString()


PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("<0x0A>", 0.0, 6), ("▁der", -1.5, 1), ("é", -2.25, 4)]


def test_a_sentencepiece_model_written_by_protobuf(tmp_path):
    content = sentencepiece_model(PIECES)
    assert [(piece.text, piece.score, int(piece.kind)) for piece in read_sentencepiece(content).pieces] == PIECES
    decoder = {"5": {"content": "<pad>", "special": False}, "6": {"content": "x▁y", "special": False}}
    config = {"added_tokens_decoder": decoder, "pad_token": "<pad>", "add_bos_token": True}
    found = facts(tmp_path, sentencepiece=content, tokenizer_config=config)
    assert found.model is TokenizerModel.SENTENCEPIECE
    assert found.vocabulary == ["<unk>", "<s>", "<0x0A>", "▁der", "é", "<pad>", "x y"]
    assert found.token_types == [2, 3, 6, 1, 1, 3, 4]
    assert found.scores == [0.0, 0.0, 0.0, -1.5, -2.25, -1000.0, -1000.0]
    assert found.add_bos is True


def test_a_sentencepiece_model_cut_anywhere_is_refused_or_shorter():
    content = sentencepiece_model(PIECES)
    for end in range(len(content)):
        try:
            assert len(read_sentencepiece(content[:end]).pieces) <= len(PIECES)
        except FormatError as error:
            assert "sentencepiece" in error.problem


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", struct.pack("<Q", 1 << 63), b"\x0b"]
)
def test_what_is_no_sentencepiece_model(tmp_path, content):
    with pytest.raises(FormatError, match="no sentencepiece model"):
        read_sentencepiece(content)
    alone = facts(tmp_path / "a", sentencepiece=content)
    assert alone.stub
    assert alone.problems
    beside = facts(tmp_path / "b", sentencepiece=content, tokenizer={"model": BPE})
    assert (beside.model, beside.problems) == (TokenizerModel.BPE, ())


@pytest.mark.parametrize(
    "whole",
    [
        {"model": 3},
        {"model": {"vocab": 7}},
        {"model": {**BPE, "vocab": {"a": "0"}}},
        {"model": {**BPE, "vocab": {"a": 1 << 60}}},
        {"model": {**BPE, "vocab": ["a", ["b"]]}},
        {"model": {**BPE, "merges": [["a"], 3]}},
        {"model": BPE, "added_tokens": [3, {"id": -1, "content": "x"}, {"id": 1 << 50, "content": "x"}]},
        {"model": BPE, "added_tokens": {"a": 1}, "post_processor": [], "pre_tokenizer": 3},
        {"model": BPE, "post_processor": {"processors": 3}, "pre_tokenizer": {"type": "Sequence"}},
        {"model": BPE, "post_processor": {"type": "TemplateProcessing", "single": [3, {"SpecialToken": []}]}},
    ],
)
def test_hostile_tokenizer_json_never_crashes(tmp_path, whole):
    found = facts(tmp_path, tokenizer=whole, tokenizer_config={"added_tokens_decoder": [], "bos_token": 3}, config=[])
    assert found.stub or len(found.vocabulary) < 1000


def test_a_vocabulary_with_a_bad_entry_has_a_problem(tmp_path):
    found = facts(tmp_path, tokenizer={"model": {**BPE, "vocab": {"a": 0, "b": None}}})
    assert [problem.subject for problem in found.problems] == ["vocabulary"]


@pytest.mark.parametrize(
    ("key", "value", "subject"),
    [
        ("tokenizer.ggml.tokens", 3, "vocabulary"),
        ("tokenizer.ggml.merges", np.ones(3), "merges"),
        ("tokenizer.ggml.token_type", "normal", "token_types"),
        ("tokenizer.ggml.token_type", np.ones(3, np.float32), "token_types"),
        ("tokenizer.ggml.padding_token_id", "last", "special_tokens"),
        ("tokenizer.ggml.add_bos_token", 1, "add_bos_token"),
        ("tokenizer.chat_template", 5, "chat_template"),
        ("tokenizer.ggml.model", "magic", "model"),
    ],
)
def test_hostile_values_in_a_gguf(key, value, subject):
    good = container(FIXTURES / "qwen3-tiny/gguf/bf16.gguf")
    found = read_tokenizer(with_metadata(good, **{key.replace(".", "__"): value}))
    assert [problem.subject for problem in found.problems] == [subject]


def test_defaults_of_llama_cpp_for_bos():
    good = container(FIXTURES / "llama-tiny256/gguf/bf16.gguf")
    unsaid = with_metadata(good, tokenizer__ggml__add_bos_token=None)
    assert read_tokenizer(unsaid).add_bos is True
    assert read_tokenizer(with_metadata(unsaid, tokenizer__ggml__pre="default")).add_bos is False


def test_strings_of_gguf_stay_lazy():
    found = read_tokenizer(container(FIXTURES / "qwen2-tiny/gguf/bf16.gguf"))
    assert not isinstance(found.vocabulary, list)


def test_a_tokenizer_json_in_latin_1_is_a_problem(tmp_path):
    found = facts(tmp_path, tokenizer='{"model": "é"}'.encode("latin-1"))
    assert found.stub
    assert [problem.subject for problem in found.problems] == ["file"]


def test_the_fixture_is_what_the_tokenizers_package_reads():
    path = Path(FIXTURES / "qwen2-tiny/hf/tokenizer.json")
    oracle = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8")).get_vocab(with_added_tokens=True)
    found = read_tokenizer(container(FIXTURES / "qwen2-tiny/hf"))
    assert {text: number for number, text in enumerate(found.vocabulary)} == oracle
    assert json.loads(path.read_text(encoding="utf-8"))["added_tokens"][0]["id"] == found.token_types.index(3)
