"""The classical faults of a conversion: the right level fails at the right place, the others say what they saw."""

from dataclasses import dataclass

import pytest
from fixture_files import FIXTURES

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import FAULTS, inject
from aprtui.formats.model import open_model

EVERY_LEVEL = Scope(levels=tuple(Level), running=BehaviourSettings(tokens=4))


@dataclass(frozen=True)
class Case:
    """A fault, and what every level has to make of it.

    Attributes:
        code: The fault.
        name: The fixture whose BF16 GGUF is damaged.
        failed: Levels that fail, each with the subject of a failure and words of its message, expectation or finding.
        said: Levels that hold, or fail for another reason, with words that they say beside it.
    """

    code: str
    name: str
    failed: dict[Level, tuple[str, str]]
    said: dict[Level, str]


CASES = [
    Case(
        "metadata.rope_theta.changed",
        "qwen2-tiny",
        {
            Level.METADATA: ("rope_theta", "2000000"),
            Level.BEHAVIOUR: ("model.layers.0.self_attn", "the first part that diverges"),
        },
        {Level.BEHAVIOUR: "llama.cpp and the reference agree on this file"},
    ),
    Case(
        "weights.rotary_missing",
        "llama-tiny256",
        {
            Level.WEIGHTS: ("model.layers.0.self_attn.q_proj.weight", "bit-exact"),
            Level.BEHAVIOUR: ("model.layers.0.self_attn", "the first part that diverges"),
        },
        {Level.BEHAVIOUR: "another one comes, where the source is sure"},
    ),
    Case(
        "structure.biases_missing",
        "qwen2-tiny",
        {
            Level.STRUCTURE: ("model.layers.0.self_attn.q_proj.bias", "the target lacks this tensor"),
            Level.BEHAVIOUR: ("model", "it lacks model.layers.0.self_attn.q_proj.bias"),
        },
        {Level.WEIGHTS: "weights of 6 tensors missing in the target"},
    ),
    Case(
        "weights.biases_zeroed",
        "qwen2-tiny",
        {
            Level.WEIGHTS: ("model.layers.0.self_attn.q_proj.bias", "64 of 64 elements differ"),
            Level.BEHAVIOUR: ("model.layers.0.self_attn", "the first part that diverges"),
        },
        {Level.BEHAVIOUR: "another one comes, where the source is sure"},
    ),
    Case(
        "weights.norm_plus_one_missing",
        "gemma3-tiny",
        {
            Level.WEIGHTS: ("model.layers.0.input_layernorm.weight", "256 of 256 elements differ"),
            Level.BEHAVIOUR: ("model.layers.0.input_layernorm", "the first part that diverges"),
        },
        {Level.BEHAVIOUR: "worse than Q2_K"},
    ),
    Case(
        "tokenizer.vocabulary_order",
        "qwen2-tiny",
        {Level.TOKENIZER: ("vocabulary", "2 of 512 tokens differ, the first at id 256")},
        {Level.TOKENIZER: "256 'ĠĠ' | 469 'Ġle'", Level.BEHAVIOUR: "bits per byte with the source's tokens"},
    ),
    Case(
        "tokenizer.add_bos",
        "llama-tiny256",
        {Level.TOKENIZER: ("add_bos", "add_bos differs")},
        {
            Level.TOKENIZER: "the target puts no token in front of a text",
            Level.BEHAVIOUR: "bits per byte with the source's tokens",
        },
    ),
    Case(
        "tokenizer.chat_template_changed",
        "qwen3-tiny",
        {Level.TOKENIZER: ("chat_template", "conversations become another text")},
        {Level.TOKENIZER: "[INST] What is 2+2? [/INST]", Level.BEHAVIOUR: "mean KLD 0 "},
    ),
]
FAST = ("metadata.rope_theta.changed", "tokenizer.chat_template_changed")


def words(finding):
    return " ".join(filter(None, (finding.message, finding.expected, finding.found)))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case.code in FAST else pytest.mark.slow, id=case.code) for case in CASES],
)
def test_each_level_says_what_it_saw(case, tmp_path):
    source = open_model(FIXTURES / case.name / "hf")
    product = FIXTURES / case.name / "gguf/bf16.gguf"
    damaged = inject(FAULTS[case.code], product, tmp_path / "x", source=source)
    comparison = compare_models(source, open_model(damaged.path), EVERY_LEVEL)
    levels = {result.level: result for result in comparison.levels}
    assert {level: result.outcome for level, result in levels.items()} == {
        level: Outcome.FALSIFIED if level in case.failed else Outcome.CORROBORATED for level in Level
    }
    for level, (subject, said) in case.failed.items():
        about = [words(finding) for finding in levels[level].failures if finding.subject == subject]
        assert any(said in each for each in about), (level, about)
    for level, said in case.said.items():
        heard = [*map(words, levels[level].findings), *levels[level].not_checked]
        assert any(said in each for each in heard), (level, heard)
    if Level.BEHAVIOUR not in case.failed:
        # Only the tokens are wrong: on the same ids nothing differs.
        assert comparison.behaviour.target.differing == 0
        assert comparison.behaviour.first_divergence is None
        assert not comparison.behaviour.wrong_texts


def test_the_same_files_without_a_fault_hold_at_every_level():
    source, product = (open_model(FIXTURES / "qwen3-tiny" / name) for name in ("hf", "gguf/bf16.gguf"))
    comparison = compare_models(source, product, EVERY_LEVEL)
    assert {result.outcome for result in comparison.levels} == {Outcome.CORROBORATED}
