"""Texts to ids: rebuilt tokenizers and llama.cpp's against ids that llama.cpp ships, and what the level makes of it."""

import json
import shutil
from pathlib import Path

import pytest
from fixture_files import FIXTURES, vocabularies
from transformers import AutoTokenizer
from variants import variants

from aprtui.compare.token_ids import stored_ids_level, tokenizer_level
from aprtui.core.outcomes import Outcome, Severity
from aprtui.diagnose.tokenizer import diagnose_tokenizer
from aprtui.formats.gguf import ValueType, write_gguf
from aprtui.formats.gguf.header import read_header
from aprtui.formats.model import open_model
from aprtui.inference.llama import LlamaRefusedError, llama_ids
from aprtui.inference.tokenizers import PROBES, NoEncoderError, encode_texts, encoders
from aprtui.inference.tokenizers.llama_vocabulary import llama_cpp_ids, llama_cpp_keys
from aprtui.inference.tokenizers.rebuild import CannotRebuild

NAMES = ("bert-bge", "gpt-2", "llama-spm", "qwen2", "llama-bpe", "phi-3")
SEPARATOR = "\n__ggml_vocab_test__\n"
GOOD = [
    (name, file)
    for name in ("qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")
    for file in ("bf16.gguf", "Q4_K_M.gguf")
]


@pytest.fixture(autouse=True)
def nothing_remembered():
    encoders._known.clear()


def vocabulary(name):
    path = vocabularies() / f"ggml-vocab-{name}.gguf"
    texts = Path(f"{path}.inp").read_text(encoding="utf-8").split(SEPARATOR)
    ids = [tuple(map(int, line.split())) for line in Path(f"{path}.out").read_text().split("\n")]
    assert len(texts) == len(ids) > 40
    return path, texts, ids


def without_ends(encoded, facts):
    first, last = bool(facts.add_bos), bool(facts.add_eos)
    return [each[first : len(each) - last] for each in encoded]


@variants("name", NAMES, always=4)
def test_llama_cpp_gives_the_ids_that_llama_cpp_ships(name):
    path, texts, ids = vocabulary(name)
    model = open_model(path)
    encoded = encode_texts(model, texts)
    assert encoded.how.startswith("llama.cpp (xllamacpp ")
    assert without_ends(encoded.ids, model.tokenizer) == ids


@variants("name", NAMES, always=4)
def test_a_rebuilt_tokenizer_gives_the_same_ids(name, monkeypatch):
    monkeypatch.setattr(encoders, "installed_version", lambda: None)
    path, texts, ids = vocabulary(name)
    model = open_model(path)
    encoded = encode_texts(model, texts)
    assert encoded.how.startswith("rebuilt from its GGUF facts")
    assert "llama.cpp is not installed" in encoded.how
    assert without_ends(encoded.ids, model.tokenizer) == ids


@pytest.mark.parametrize("name", ["qwen2-tiny", "llama-tiny256", "gpt2-tiny"])
def test_a_tokenizer_json_gives_the_ids_of_transformers(name):
    theirs = AutoTokenizer.from_pretrained(FIXTURES / name / "hf")
    ours = encode_texts(open_model(FIXTURES / name / "hf"), PROBES)
    assert ours.how.startswith("tokenizer.json")
    assert [list(ids) for ids in ours.ids] == [theirs(text)["input_ids"] for text in PROBES]


@pytest.mark.parametrize(("name", "file"), GOOD)
def test_good_conversions_give_equal_ids(name, file):
    result = tokenizer_level(open_model(FIXTURES / name / "hf"), open_model(FIXTURES / name / "gguf" / file))
    assert result.outcome is Outcome.CORROBORATED
    assert not [part for part in result.not_checked if part.startswith("ids")]
    (note,) = [finding for finding in result.findings if finding.subject == "ids"]
    assert note.severity is Severity.NOTE
    # llama.cpp takes every model named phi3 for one with Phi-3's tokens, and refuses the tiny one.
    assert ("target: rebuilt" if name == "phi3-tiny" else "target: llama.cpp") in note.message


def test_an_apr_is_tried_through_its_facts():
    target = FIXTURES / "apr/0.72.3/llama-tiny256/g-bf16-import.apr"
    result = tokenizer_level(open_model(FIXTURES / "llama-tiny256/hf"), open_model(target))
    (note,) = [finding for finding in result.findings if finding.subject == "ids"]
    assert (result.outcome, "rebuilt from its APR facts" in note.message) == (Outcome.CORROBORATED, True)
    bad = tokenizer_level(
        open_model(FIXTURES / "llama-tiny256/hf"),
        open_model(FIXTURES / "apr/0.72.3/llama-tiny256/s-import.apr"),
    )
    assert any(part.startswith("ids: target: its tokenizer cannot be rebuilt") for part in bad.not_checked)


def edited(folder, name, file="tokenizer.json"):
    """A copy of a fixture with the JSON of one file for editing; call the second value to write it."""
    shutil.copytree(FIXTURES / name / "hf", folder)
    path = folder / file
    path.chmod(0o644)
    content = json.loads(path.read_text(encoding="utf-8"))
    return content, lambda: path.write_text(json.dumps(content), encoding="utf-8")


def ids_failure(source, target, prompts=()):
    result = tokenizer_level(open_model(source), open_model(target), prompts)
    assert result.outcome is Outcome.FALSIFIED
    return next(finding for finding in result.findings if finding.subject == "ids")


def test_swapped_tokens_show_the_first_difference_and_both_splits(tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    vocab = content["model"]["vocab"]
    vocab["H"], vocab["e"] = vocab["e"], vocab["H"]
    write()
    finding = ids_failure(FIXTURES / "qwen2-tiny/hf", tmp_path / "m")
    assert "from token 0 on: 'Hello world'" in finding.message
    assert finding.expected.startswith("39 'H' | 68 'e' | 75 'l'")
    assert finding.found.startswith("68 'H' | 39 'e' | 75 'l'")


def test_a_lost_bos_is_named(tmp_path):
    content, write = edited(tmp_path / "m", "llama-tiny256")
    content["post_processor"] = None
    write()
    finding = ids_failure(FIXTURES / "llama-tiny256/hf", tmp_path / "m")
    assert "the target puts no token in front of a text" in finding.message
    assert finding.expected.startswith("509 '<|begin_of_text|>' | 39 'H'")


def causes(source, target, result):
    return [found.code for found in diagnose_tokenizer(source, target, result)]


def test_ids_that_differ_are_a_failure_of_their_own_only_where_no_part_does(tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    content["normalizer"] = {"type": "Lowercase"}
    write()
    source = open_model(FIXTURES / "qwen2-tiny/hf")
    result = tokenizer_level(source, open_model(tmp_path / "m"))
    assert [finding.subject for finding in result.failures] == ["ids"]
    assert causes(source, open_model(tmp_path / "m"), result) == ["tokenizer.rules"]
    content["model"]["merges"].pop(0)
    write()
    result = tokenizer_level(source, open_model(tmp_path / "m"))
    assert [finding.subject for finding in result.failures] == ["merges"]
    assert causes(source, open_model(tmp_path / "m"), result) == ["tokenizer.merges_changed"]
    assert [finding.severity for finding in result.findings if finding.subject == "ids"] == [Severity.NOTE]


def test_a_template_that_differs_in_text_alone_explains_no_ids(tmp_path):
    content, write = edited(tmp_path / "m", "qwen3-tiny")
    content["normalizer"] = {"type": "Lowercase"}
    write()
    template = tmp_path / "m/chat_template.jinja"
    template.chmod(0o644)
    template.write_text(template.read_text(encoding="utf-8") + "{# remark #}", encoding="utf-8")
    result = tokenizer_level(open_model(FIXTURES / "qwen3-tiny/hf"), open_model(tmp_path / "m"))
    assert [finding.subject for finding in result.failures] == ["ids"]


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_what_a_special_token_takes_of_the_text_beside_it_is_seen(flag, which, tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    content["added_tokens"][which][flag] = True
    write()
    assert "from token" in ids_failure(FIXTURES / "qwen2-tiny/hf", tmp_path / "m").message


def test_a_prompt_of_the_playbook_is_tried_too(tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    content["added_tokens"].append(dict(content["added_tokens"][0], id=600, content="QQQZZ"))
    write()
    finding = ids_failure(FIXTURES / "qwen2-tiny/hf", tmp_path / "m", ["say QQQZZ now"])
    assert finding.message.startswith("ids of 1 of ")
    assert "'say QQQZZ now'" in finding.message


def test_text_that_one_side_composes_is_only_noted(tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    content["normalizer"] = {"type": "NFC"}
    write()
    result = tokenizer_level(
        open_model(FIXTURES / "qwen2-tiny/hf"), open_model(tmp_path / "m"), ["cafe\u0301 decomposed"]
    )
    assert result.outcome is Outcome.CORROBORATED
    assert any("composed form" in finding.message for finding in result.findings)


def test_tokenizers_that_panic_or_do_not_parse_are_not_checked(tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    content["post_processor"] = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": 3}
    write()
    with pytest.raises(NoEncoderError, match="tokenizers does not read it"):
        encode_texts(open_model(tmp_path / "m"), ["a"])
    result = tokenizer_level(open_model(FIXTURES / "qwen2-tiny/hf"), open_model(tmp_path / "m"))
    assert any(part.startswith("ids: target: tokenizers does not read it") for part in result.not_checked)


def test_a_prompt_that_is_no_unicode_takes_no_other_text_with_it():
    prompts = ["caf\udce9", "\ud800"]
    result = tokenizer_level(
        open_model(FIXTURES / "qwen2-tiny/hf"), open_model(FIXTURES / "qwen2-tiny/gguf/bf16.gguf"), prompts
    )
    assert "ids: 2 texts are no Unicode" in result.not_checked
    assert any("texts were turned into ids" in finding.message for finding in result.findings)


def test_half_a_surrogate_pair_in_a_token_is_told_by_its_level(tmp_path):
    content, write = edited(tmp_path / "m", "qwen2-tiny")
    content["added_tokens"][0]["content"] = "\ud800"
    write()
    result = tokenizer_level(open_model(FIXTURES / "qwen2-tiny/hf"), open_model(tmp_path / "m"))
    assert "vocabulary" in [finding.subject for finding in result.failures]
    assert any(part.startswith("ids: target: tokenizers does not read it") for part in result.not_checked)


def test_a_model_without_tokenizer_has_no_ids():
    with pytest.raises(NoEncoderError, match="it has no tokenizer"):
        encode_texts(open_model(FIXTURES / "apr/0.72.3/qwen2-tiny/as"), ["a"])


def test_llama_cpp_says_why_it_refuses(tmp_path):
    broken = tmp_path / "m.gguf"
    broken.write_bytes(b"GGUF" + bytes(60))
    with pytest.raises(LlamaRefusedError, match="does not load"):
        llama_ids(broken, ["a"], add_special=False)
    keys = llama_cpp_keys(FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    keys = [key._replace(value="no-such-rule") if key.key == "tokenizer.ggml.pre" else key for key in keys]
    with pytest.raises(LlamaRefusedError, match="unknown pre-tokenizer type"):
        llama_cpp_ids(keys, ["a"])


def stored_under(path, name, **other):
    """A GGUF with one tokenizer key stored otherwise, and no tensors."""
    values = read_header(FIXTURES / "llama-tiny256/gguf/bf16.gguf").values
    changed = [one._replace(**other) if one.key == f"tokenizer.ggml.{name}" else one for one in values]
    assert changed != list(values)
    write_gguf(path, changed, [])
    return open_model(path)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("bos_token_id", {"type": ValueType.UINT64}),
        ("bos_token_id", {"type": ValueType.INT32}),
        ("token_type", {"element": ValueType.INT64}),
        ("pre", {"value": "no-such-rule"}),
    ],
)
def test_a_tokenizer_that_llama_cpp_does_not_load_fails(name, other, tmp_path, monkeypatch):
    """llama.cpp takes each key under one type alone; what the values are is no matter then."""
    target = stored_under(tmp_path / "m.gguf", name, **other)
    source = open_model(FIXTURES / "llama-tiny256/hf")
    result = tokenizer_level(source, target)
    failures = [(one.subject, "does not load" in one.message) for one in result.failures]
    named = "pre_tokenizer_wrong" if name == "pre" else "not_loaded"
    assert causes(source, target, result) == [f"tokenizer.{named}"]
    assert failures == ([("pre_tokenizer", False)] if name == "pre" else [("llama.cpp", True)])
    same = tokenizer_level(target, target)
    assert same.outcome is Outcome.CORROBORATED, "the source is no better"
    monkeypatch.setattr(encoders, "rebuilt_json", cannot)
    encoders._known.clear()
    result = tokenizer_level(source, target)
    assert [one.subject for one in result.failures] == [one for one, _ in failures]


def cannot(_):
    raise CannotRebuild("for a test")


@pytest.mark.parametrize("is_rebuilt", [True, False])
def test_stored_ids_hold_a_product_to_the_same(is_rebuilt, tmp_path, monkeypatch):
    """Where the source is not at hand; what llama.cpp does not load fails, whoever else can tell the ids."""
    texts = ("Hello world", "x" * 40)
    ids = encode_texts(open_model(FIXTURES / "llama-tiny256/hf"), texts).ids
    stored = {texts[0]: ids[0], texts[1]: ids[1][:3]}
    good = stored_ids_level(stored, open_model(FIXTURES / "llama-tiny256/gguf/bf16.gguf"))
    assert (good.outcome, good.checked) == (Outcome.CORROBORATED, 2)
    without = {text: each[1:] for text, each in zip(texts, ids, strict=True)}
    (failure,) = stored_ids_level(without, open_model(FIXTURES / "llama-tiny256/gguf/bf16.gguf")).failures
    assert "of 2 texts differ" in failure.message and failure.expected.startswith(str(ids[0][1]))
    encoders._known.clear()
    if not is_rebuilt:
        monkeypatch.setattr(encoders, "rebuilt_json", cannot)
    refused = stored_ids_level(stored, stored_under(tmp_path / "m.gguf", "bos_token_id", type=ValueType.UINT64))
    assert refused.outcome is Outcome.FALSIFIED and [one.subject for one in refused.failures] == ["llama.cpp"]


def test_a_llama_cpp_that_takes_too_long_leaves_the_rest_of_the_level(monkeypatch):
    monkeypatch.setattr("aprtui.inference.llama.process.SECONDS", 0.01)
    result = tokenizer_level(
        open_model(FIXTURES / "llama-tiny256/hf"), open_model(FIXTURES / "llama-tiny256/gguf/bf16.gguf")
    )
    (note,) = [finding for finding in result.findings if finding.subject == "ids"]
    assert (note.severity, "did not answer in" in note.message) == (Severity.NOTE, True)


def test_a_relative_path_is_the_callers(monkeypatch):
    monkeypatch.chdir(FIXTURES / "llama-tiny256/gguf")
    assert llama_ids(Path("bf16.gguf"), ["a b"], add_special=False) == llama_ids(
        FIXTURES / "llama-tiny256/gguf/bf16.gguf", ["a b"], add_special=False
    )


def test_what_a_model_states_is_read_once_for_all_levels(monkeypatch):
    read = []
    monkeypatch.setattr(encoders, "llama_cpp_keys", lambda path: read.append(path) or llama_cpp_keys(path))
    first, second = (open_model(FIXTURES / "llama-tiny256/gguf" / name) for name in ("bf16.gguf", "Q4_K_M.gguf"))
    for text in ("a", "b"):
        assert encode_texts(first, [text]).ids == encode_texts(second, [text]).ids
    assert len(read) == 2
    other = open_model(FIXTURES / "llama-tiny256/gguf/bf16.gguf")
    assert encode_texts(other, ["a"]).ids == encode_texts(first, ["a"]).ids and len(read) == 4, "two are remembered"
