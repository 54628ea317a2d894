"""Logits before and after the repair: what the causes cost, in nats."""

from dataclasses import replace

from fixture_files import FIXTURES

from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.outcomes import Level
from aprtui.diagnose import diagnose, with_logits
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.report.diagnosis_markdown import markdown_lines

LLAMA = FIXTURES / "llama-tiny256"
SCOPE = Scope(levels=tuple(Level), asked_for=parse_output_type("lossless"))


def explained(path, scope=SCOPE):
    source, target = open_model(LLAMA / "hf"), open_model(path)
    comparison = compare_models(source, target, scope)
    found = diagnose(source, target, comparison, scope)
    return comparison, with_logits(source, target, found, comparison.behaviour, scope)


def test_a_repair_that_explains_all_brings_the_logits_back():
    comparison, diagnosis = explained(FIXTURES / "apr/0.72.3/llama-tiny256/s-import-export.gguf")
    assert comparison.behaviour is not None
    assert diagnosis.kld_before == comparison.behaviour.target.mean_kld > 0.01
    assert diagnosis.kld_after == 0.0
    assert "under the repairs." in "\n".join(markdown_lines(comparison, diagnosis))


def test_what_was_lost_in_blocks_stays_lost():
    # Query and key rows are put back; the codes of the Q4_K that nobody asked for stay.
    _, diagnosis = explained(FIXTURES / "apr/0.72.3/llama-tiny256/sg.gguf")
    assert diagnosis.kld_before is not None and diagnosis.kld_after is not None
    assert 0 < diagnosis.kld_after < diagnosis.kld_before / 2


def test_without_the_level_nothing_is_run():
    scope = replace(SCOPE, levels=(Level.STRUCTURE, Level.WEIGHTS))
    _, diagnosis = explained(FIXTURES / "apr/0.72.3/llama-tiny256/s-import-export.gguf", scope)
    assert diagnosis.causes and diagnosis.kld_before is None and diagnosis.kld_after is None


def test_a_product_that_passes_has_no_repair_to_measure():
    _, diagnosis = explained(LLAMA / "gguf/bf16.gguf", replace(SCOPE, levels=(Level.WEIGHTS, Level.BEHAVIOUR)))
    assert not diagnosis.causes and diagnosis.kld_after is None
