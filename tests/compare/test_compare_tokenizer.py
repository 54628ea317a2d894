import json
from dataclasses import replace

import pytest
from fixture_files import FIXTURES
from model_files import container, hugging_face, with_metadata

from aprtui.compare.tokenizer import compare_tokenizers
from aprtui.core.outcomes import Outcome, Severity
from aprtui.formats.tokenizer import TokenizerModel, TokenType, read_tokenizer
from aprtui.formats.tokenizer.facts import PreTokenizer

EXPECTED = json.loads((FIXTURES / "apr/expected.json").read_text(encoding="utf-8"))
GOOD = sorted(path for path in FIXTURES.glob("*/gguf/*.gguf"))


def tokenizer(path):
    return read_tokenizer(container(FIXTURES / path))


def subjects(result):
    return {finding.subject for finding in result.failures}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parents[1].name}/{path.stem}")
def test_what_llama_cpp_converted_passes_both_ways(path):
    source, target = read_tokenizer(container(path.parents[1] / "hf")), read_tokenizer(container(path))
    for result in (compare_tokenizers(source, target), compare_tokenizers(target, source)):
        assert result.findings == ()
        assert (result.outcome, result.checked) == (Outcome.CORROBORATED, 512)
        assert result.not_checked == ("ids: not checked",)


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"])
def test_what_apr_wrote(row):
    source = read_tokenizer(container((FIXTURES / "apr" / row["reference"]).resolve()))
    result = compare_tokenizers(source, read_tokenizer(container(FIXTURES / "apr" / row["file"])))
    assert set(row["fails"].get("tokenizer", [])) <= subjects(result)
    if "tokenizer" in row["passes"]:
        assert subjects(result) == set()
        assert result.outcome is Outcome.CORROBORATED


def swapped(items, at):
    changed = list(items)
    changed[at], changed[at + 1] = changed[at + 1], changed[at]
    return changed


def change(facts, part):
    """A tokenizer with one part damaged, and what its finding must show."""
    pad = facts.special_ids["pad"]
    return {
        "vocabulary": ({"vocabulary": swapped(facts.vocabulary, 40)}, "id 40", repr(facts.vocabulary[40])),
        "merges": ({"merges": swapped(facts.merges, 7)}, "rank 7", repr(facts.merges[7])),
        "token_types": ({"token_types": [*facts.token_types[:509], 1, 1, 1]}, "id 509", "control"),
        "special_tokens": ({"special_ids": {"pad": 1}}, "pad", f"pad {pad}"),
        "pre_tokenizer": ({"pre_tokenizer": PreTokenizer("default")}, "rules", "qwen2"),
        "chat_template": ({"chat_template": facts.chat_template + " "}, "character", "''"),
        "add_bos": ({"add_bos": True}, "add_bos", "false"),
        "add_eos": ({"add_eos": True}, "add_eos", "false"),
        "model": ({"model": TokenizerModel.SENTENCEPIECE}, "kinds", "byte-level BPE"),
    }[part]


PARTS = (
    "vocabulary",
    "merges",
    "token_types",
    "special_tokens",
    "pre_tokenizer",
    "chat_template",
    "add_bos",
    "add_eos",
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("source", ["qwen3-tiny/hf", "qwen3-tiny/gguf/bf16.gguf"])
def test_a_damaged_part_is_found_and_only_that(part, source):
    target = tokenizer("qwen3-tiny/gguf/Q8_0.gguf")
    edit, message, expected = change(target, part)
    (finding,) = compare_tokenizers(tokenizer(source), replace(target, **edit)).failures
    assert finding.subject == part
    assert message in finding.message
    assert expected in finding.expected


@pytest.mark.parametrize("part", ["vocabulary", "merges", "token_types", "pre_tokenizer", "chat_template"])
def test_a_lost_part_is_found_and_only_that(part):
    target = replace(tokenizer("qwen3-tiny/gguf/bf16.gguf"), **{part: None})
    (finding,) = compare_tokenizers(tokenizer("qwen3-tiny/hf"), target).failures
    assert (finding.subject, finding.found) == (part, "missing")


def test_a_lost_token_at_the_end_is_found():
    target = tokenizer("qwen3-tiny/gguf/bf16.gguf")
    cut = replace(target, vocabulary=list(target.vocabulary)[:-1])
    (finding,) = compare_tokenizers(tokenizer("qwen3-tiny/hf"), cut).failures
    assert (finding.subject, finding.found) == ("vocabulary", "none (it has 511)")


def test_unused_tokens_that_fill_the_embedding_are_no_difference():
    target = tokenizer("qwen3-tiny/gguf/bf16.gguf")
    filled = replace(
        target,
        vocabulary=[*target.vocabulary, "[PAD512]", "[PAD513]"],
        token_types=[*target.token_types, TokenType.UNUSED, TokenType.UNUSED],
    )
    source = tokenizer("qwen3-tiny/hf")
    assert compare_tokenizers(source, filled).findings == ()
    assert compare_tokenizers(filled, source).findings == ()


def test_names_that_split_alike_are_equal():
    source = tokenizer("qwen2-tiny/hf")
    alike = with_metadata(container(FIXTURES / "qwen2-tiny/gguf/bf16.gguf"), tokenizer__ggml__pre="deepseek-r1-qwen")
    assert compare_tokenizers(source, read_tokenizer(alike)).findings == ()


def test_an_unknown_structure_is_not_checked_against_a_name_but_against_another(tmp_path):
    whole = json.loads((FIXTURES / "qwen2-tiny/hf/tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((FIXTURES / "qwen2-tiny/hf/tokenizer_config.json").read_text(encoding="utf-8"))
    whole["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] += "|x"
    unknown = read_tokenizer(hugging_face(tmp_path / "a", tokenizer=whole, tokenizer_config=config))
    against_name = compare_tokenizers(unknown, tokenizer("qwen2-tiny/gguf/bf16.gguf"))
    assert against_name.failures == ()
    assert any(reason.startswith("pre_tokenizer: structure") for reason in against_name.not_checked)
    assert compare_tokenizers(unknown, unknown).not_checked == ("ids: not checked",)
    assert subjects(compare_tokenizers(unknown, tokenizer("qwen2-tiny/hf"))) == {"pre_tokenizer"}


def test_scores_of_a_unigram_model_are_compared_where_they_decide():
    bpe, scores = tokenizer("qwen3-tiny/gguf/bf16.gguf"), [-0.1 * number for number in range(1, 513)]
    source = replace(bpe, model=TokenizerModel.UNIGRAM, scores=scores)
    special = next(number for number, kind in enumerate(bpe.token_types) if kind == TokenType.CONTROL)
    other = replace(source, scores=[*scores[:special], -1000.0, *scores[special + 1 :]])
    assert compare_tokenizers(source, other).findings == ()
    (finding,) = compare_tokenizers(source, replace(source, scores=[*scores[1:], scores[0]])).failures
    assert (finding.subject, "the first at id 0" in finding.message) == ("scores", True)
    silent = compare_tokenizers(replace(source, scores=None), source)
    assert "scores: the source states none" in silent.not_checked


def test_scores_of_sentencepiece():
    bpe, scores = tokenizer("qwen3-tiny/gguf/bf16.gguf"), [-0.1 * number for number in range(1, 513)]
    gguf = replace(bpe, model=TokenizerModel.SENTENCEPIECE, scores=scores)
    rounded = replace(gguf, scores=[score + 1e-12 for score in scores])
    assert compare_tokenizers(gguf, rounded).findings == ()
    wrong = replace(gguf, scores=[*gguf.scores[:9], 5.0, *gguf.scores[10:]])
    (finding,) = compare_tokenizers(gguf, wrong).failures
    assert (finding.subject, "id 9" in finding.message) == ("scores", True)
    assert subjects(compare_tokenizers(gguf, replace(gguf, scores=None))) == {"scores"}


def test_a_template_that_only_the_target_has_is_a_note():
    target = tokenizer("qwen3-tiny/gguf/bf16.gguf")
    (finding,) = compare_tokenizers(replace(target, chat_template=None), target).findings
    assert (finding.subject, finding.severity) == ("chat_template", Severity.NOTE)


def test_what_apr_has_no_key_for_is_not_checked():
    source = tokenizer("qwen2-tiny/gguf/bf16.gguf")
    target = tokenizer("apr/0.72.3/qwen2-tiny/g-bf16-import.apr")
    result = compare_tokenizers(replace(source, special_ids={"mask": 3}, add_eos=True), target)
    assert result.failures == ()
    assert "special_tokens: APR has no key for mask" in result.not_checked
    assert "add_eos: APR has no key for it" in result.not_checked


def test_no_tokenizer_on_either_side(tmp_path):
    good = tokenizer("qwen2-tiny/hf")
    assert subjects(compare_tokenizers(good, None)) == {"missing"}
    stub = read_tokenizer(hugging_face(tmp_path, tokenizer={"version": "1.0"}))
    (finding,) = compare_tokenizers(good, stub).failures
    assert (finding.subject, "stub" in finding.message) == ("missing", True)
    for source in (None, stub):
        skipped = compare_tokenizers(source, good)
        assert skipped.outcome is Outcome.SKIPPED
        assert "ids: not checked" in skipped.not_checked
        assert len(skipped.not_checked) == 2
