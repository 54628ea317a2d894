"""Causes in the tokenizer that no fixture can carry."""

from types import SimpleNamespace

from aprtui.compare.tokenizer import compare_tokenizers
from aprtui.diagnose.tokenizer import diagnose_tokenizer, still_failing
from aprtui.formats.container import Format
from aprtui.formats.tokenizer import TokenizerFacts, TokenizerModel

PIECES = ("<unk>", "<s>", "</s>", "\u2581a", "b")


def facts(format_, prefix):
    return TokenizerFacts(format_, TokenizerModel.SENTENCEPIECE, PIECES, scores=(0.0,) * 5, space_prefix=prefix)


def test_a_space_in_front_of_texts():
    source, target = facts(Format.SAFETENSORS, prefix=False), facts(Format.GGUF, prefix=True)
    result = compare_tokenizers(source, target)
    models = SimpleNamespace(tokenizer=source), SimpleNamespace(tokenizer=target)
    (found,) = diagnose_tokenizer(*models, result)
    assert found.code == "tokenizer.space_prefix"
    assert still_failing(*models, [found]) == ()


def test_a_space_that_one_side_does_not_speak_of_is_not_called_checked():
    result = compare_tokenizers(facts(Format.SAFETENSORS, prefix=True), facts(Format.APR, prefix=None))
    assert "space_prefix: the target does not say" in result.not_checked
    nobody = compare_tokenizers(facts(Format.SAFETENSORS, prefix=None), facts(Format.APR, prefix=None))
    assert not any("space_prefix" in one for one in nobody.not_checked)
