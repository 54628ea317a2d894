"""Models whose numbers of tokens differ: as a layout rule has it, or through a fault that is named."""

import pytest
from fixture_files import FIXTURES
from hf_edits import edited, rows

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, compare_models
from aprtui.convert.builtin.product import write_product
from aprtui.core.behaviour_judgement import judge_logits
from aprtui.core.outcomes import Level, Outcome
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type

SCOPE = Scope(levels=(Level.BEHAVIOUR,), running=BehaviourSettings(tokens=2))


@pytest.mark.parametrize("outtype", ["q8_0", pytest.param("bf16", marks=pytest.mark.slow)])
def test_a_vocabulary_that_a_layout_rule_cuts_is_no_fault(outtype, tmp_path):
    """As gemma3's: rows of the embedding beyond the tokenizer's entries are not in a GGUF, and not in the twin."""
    source = open_model(edited("gemma3-tiny", tmp_path / "hf", rows(576), vocab_size=576))
    product = tmp_path / "product.gguf"
    write_product(source, Format.GGUF, product, parse_output_type(outtype))
    comparison = compare_models(source, open_model(product), SCOPE)
    (level,) = comparison.levels
    behaviour = comparison.behaviour
    assert (level.outcome, behaviour.equals_twin, behaviour.target.tokens) == (Outcome.CORROBORATED, True, 512)
    assert behaviour.lossless == (outtype == "bf16")
    assert (behaviour.other_tokens, behaviour.first_divergence) == ("", None)


@pytest.mark.parametrize("tokens", [500, 576])
def test_other_tokens_are_named_and_those_of_both_compared(tokens, tmp_path):
    product = edited("qwen2-tiny", tmp_path / "hf", rows(tokens), vocab_size=tokens)
    comparison = compare_models(open_model(FIXTURES / "qwen2-tiny/hf"), open_model(product), SCOPE)
    (level,) = comparison.levels
    assert level.outcome is Outcome.FALSIFIED
    (failure,) = level.failures
    assert failure.subject == "vocabulary"
    assert failure.message.startswith(f"its logits are of {tokens} tokens and not of 512; those of the first ")
    assert judge_logits(comparison.behaviour).outcome is Outcome.CORROBORATED
