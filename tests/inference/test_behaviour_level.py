"""The behaviour level: good conversions pass, and each fault fails at the layer where it is."""

import shutil
from dataclasses import replace

import pytest
from fixture_files import DATA, FIXTURES
from hf_edits import edited
from variants import variants

from aprtui.compare.behaviour import BehaviourSettings
from aprtui.compare.comparison import Scope, compare_models
from aprtui.core.behaviour import Behaviour, TextComparison, TextMode, TextVerdict, judge_text
from aprtui.core.behaviour_judgement import judge_logits
from aprtui.core.json_values import from_json, to_json
from aprtui.core.outcomes import Level, Outcome
from aprtui.faults import FAULTS, inject
from aprtui.formats.model import open_model
from aprtui.inference import errors
from aprtui.inference.measure import needed_bytes
from aprtui.inference.samples import MOST_POSITIONS
from aprtui.inference.text import generated, weigh, why_unusable

SCOPE = Scope(levels=(Level.BEHAVIOUR,), running=BehaviourSettings(tokens=6))
NAMES = ("qwen2-tiny", "llama-tiny256", "qwen3-tiny", "gemma3-tiny", "phi3-tiny", "gpt2-tiny")

# Fault, model, type, and the part that must be named as the first that diverges ("model": it does not run at all).
FAULTY = [
    ("metadata.rope_theta.changed", "qwen2-tiny", "bf16", "model.layers.0.self_attn"),
    ("weights.rotary_missing", "llama-tiny256", "bf16", "model.layers.0.self_attn"),
    ("weights.rotary_head_count", "llama-tiny256", "Q4_K_M", "model.layers.0.self_attn"),
    ("structure.biases_missing", "qwen2-tiny", "bf16", "model"),
    ("weights.biases_zeroed", "qwen2-tiny", "bf16", "model.layers.0.self_attn"),
    ("weights.norm_plus_one_missing", "gemma3-tiny", "bf16", "model.layers.0.input_layernorm"),
    ("weights.gate_up_swapped", "qwen3-tiny", "bf16", "model.layers.0.mlp"),
    ("weights.gate_up_halves_swapped", "phi3-tiny", "Q8_0", "model.layers.0.mlp"),
    ("weights.conv1d_transposed", "gpt2-tiny", "bf16", "transformer.h.0.attn"),
    ("weights.two_rows_swapped", "gpt2-tiny", "Q8_0", "transformer.h.0.attn"),
    ("weights.scaled", "phi3-tiny", "bf16", "model.layers.0.mlp"),
    ("weights.late_scales_unpacked", "llama-tiny256", "Q4_K_M", "model.embed_tokens"),
    ("structure.final_norm_missing", "llama-tiny256", "bf16", "model"),
]


def run(source, target, scope=SCOPE):
    comparison = compare_models(open_model(source), open_model(target), scope)
    (level,) = comparison.levels
    return level, comparison.behaviour


@pytest.mark.parametrize("name", NAMES)
@variants("kind", ["Q4_K_M", "bf16", "Q8_0"])
def test_good_conversions_pass(name, kind):
    level, behaviour = run(FIXTURES / name / "hf", FIXTURES / name / f"gguf/{kind}.gguf")
    assert level.outcome is Outcome.CORROBORATED
    assert behaviour.first_divergence is None
    assert behaviour.equals_twin  # llama.cpp's blocks are our encoder's
    assert behaviour.floor.mean_kld < 1e-11
    assert behaviour.lossless == (kind == "bf16")
    if behaviour.lossless:
        assert behaviour.target.differing == 0
        assert {text.verdict for text in behaviour.texts} == {TextVerdict.EQUAL}
    assert not behaviour.wrong_texts
    if name != "phi3-tiny":  # llama.cpp refuses this one by its name
        assert behaviour.llama_cpp.top1_agreement > 0.9
        assert behaviour.llama_cpp.nmse < 5e-3
        assert any("llama.cpp and the reference agree" in finding.message for finding in level.findings)
    assert from_json(Behaviour, to_json(behaviour)) == behaviour


@variants("file", ["imatrix-Q4_K_M", "f16", "Q8_0"], always=2)
def test_other_types_stay_beside_their_twin(file):
    level, behaviour = run(FIXTURES / "llama-tiny256/hf", FIXTURES / f"llama-tiny256/gguf/{file}.gguf")
    assert level.outcome is Outcome.CORROBORATED
    assert behaviour.equals_twin == (not file.startswith("imatrix"))
    assert behaviour.target.mean_kld <= 1.1 * behaviour.twin.mean_kld


def test_after_several_conversions_the_twin_is_what_the_last_loss_left():
    source, decoded = FIXTURES / "qwen2-tiny/hf", FIXTURES / "apr/0.72.3/qwen2-tiny/g-Q8_0-import.apr"
    via = (open_model(FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf"),)
    level, behaviour = run(source, decoded, Scope(levels=(Level.BEHAVIOUR,), via=via, running=SCOPE.running))
    assert (level.outcome, behaviour.equals_twin, behaviour.lossless) == (Outcome.CORROBORATED, True, True)
    assert behaviour.twin.mean_kld == behaviour.target.mean_kld > 0
    # The same file as a conversion of the source itself lost what nobody asked for.
    assert run(source, decoded)[0].outcome is Outcome.FALSIFIED


def test_an_apr_with_its_own_types():
    for file in ("s-import-int8", "s-import-int4"):
        level, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / f"apr/0.72.3/qwen2-tiny/{file}.apr")
        assert (level.outcome, behaviour.equals_twin) == (Outcome.CORROBORATED, True)


@variants(("code", "name", "kind", "part"), FAULTY, always=6)
def test_a_fault_fails_at_its_place(code, name, kind, part, tmp_path):
    source = open_model(FIXTURES / name / "hf")
    damaged = inject(FAULTS[code], FIXTURES / name / f"gguf/{kind}.gguf", tmp_path / "x", source=source)
    level, behaviour = run(FIXTURES / name / "hf", damaged.path)
    assert level.outcome is Outcome.FALSIFIED
    subjects = [finding.subject for finding in level.failures]
    assert part in subjects
    assert (part == "model") == (behaviour is None)
    if behaviour is not None:
        assert judge_logits(behaviour).outcome is Outcome.FALSIFIED
        first = behaviour.first_divergence
        assert f"{first.unit}.{first.block}".rstrip(".") == part


def test_a_small_fault_of_metadata_is_noted_where_it_is(tmp_path):
    source = open_model(FIXTURES / "qwen3-tiny/hf")
    fault = FAULTS["metadata.rms_norm_eps.changed"]
    damaged = inject(fault, FIXTURES / "qwen3-tiny/gguf/Q8_0.gguf", tmp_path / "x", source=source)
    level, behaviour = run(FIXTURES / "qwen3-tiny/hf", damaged.path)
    first = behaviour.first_divergence
    assert (level.outcome, first.unit, first.block) == (Outcome.CORROBORATED, "model.layers.0", "input_layernorm")
    assert first.own.nmse > first.limit > 0


def test_without_a_twin_nothing_is_judged():
    level, behaviour = run(FIXTURES / "llama-tiny256/hf", FIXTURES / "llama-tiny256/gguf/IQ4_XS.gguf")
    assert level.outcome is Outcome.SKIPPED
    assert any("no encoder for IQ4_XS" in part for part in level.not_checked)
    assert behaviour.target.mean_kld > 0
    assert not behaviour.wrong_texts
    assert behaviour.first_divergence is None


def test_prompts_are_used_and_text_can_be_left_out():
    scope = Scope(levels=(Level.BEHAVIOUR,), prompts=("say it",), running=BehaviourSettings(tokens=0))
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", scope)
    assert "say it" in {prompt.text for prompt in behaviour.prompts}
    assert behaviour.texts == ()
    assert "text: not asked for" in level.not_checked


def test_tokens_that_differ_are_told_from_weights(tmp_path):
    source = open_model(FIXTURES / "llama-tiny256/hf")
    fault = FAULTS["tokenizer.add_bos"]
    damaged = inject(fault, FIXTURES / "llama-tiny256/gguf/bf16.gguf", tmp_path / "x", source=source)
    level, behaviour = run(FIXTURES / "llama-tiny256/hf", damaged.path)
    assert level.outcome is Outcome.CORROBORATED  # the same ids give the same logits
    swap = behaviour.swap
    assert swap.source_tokens_source_weights == swap.source_tokens_target_weights
    assert swap.target_tokens_source_weights == swap.target_tokens_target_weights
    assert swap.source_tokens_source_weights != swap.target_tokens_target_weights
    assert [finding.subject for finding in level.findings if finding.subject == "tokens"]


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_without_a_gpu_it_is_skipped(device):
    scope = Scope(levels=(Level.BEHAVIOUR,), running=BehaviourSettings(device))
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", scope)
    assert (level.outcome, behaviour) == (Outcome.SKIPPED, None)
    assert "no CUDA device here" in level.not_checked[0]


def test_what_does_not_fit_into_memory_is_skipped(monkeypatch):
    monkeypatch.setattr("aprtui.inference.machine.free_bytes", lambda _: 1 << 20)
    level, _ = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    assert level.outcome is Outcome.SKIPPED
    assert "GiB on cpu, and 0.0 GiB are free" in level.not_checked[0]


@pytest.mark.parametrize("prompts", [("say it",), ()])
def test_without_room_for_a_whole_model_text_is_judged_on_stored_tokens(prompts, monkeypatch, tmp_path):
    monkeypatch.setattr("aprtui.inference.text.require", no_room)
    scope = replace(SCOPE, prompts=prompts)
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", scope)
    assert level.outcome is Outcome.CORROBORATED
    assert "judged on the tokens of the texts instead" in level.not_checked[0]
    assert {(text.mode, text.verdict) for text in behaviour.texts} == {(TextMode.FORCED, TextVerdict.EQUAL)}
    assert {text.prompt for text in behaviour.texts} == {text.text for text in behaviour.prompts}
    fault = FAULTS["metadata.rope_theta.changed"]
    damaged = inject(
        fault, FIXTURES / "qwen2-tiny/gguf/bf16.gguf", tmp_path / "x", source=open_model(FIXTURES / "qwen2-tiny/hf")
    )
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", damaged.path, scope)
    wrong = [finding.message for finding in level.failures if finding.subject == "text"]
    assert wrong and all(message.startswith("behind token ") for message in wrong)


def no_room(nbytes, device, what):
    raise errors.CannotRunError(f"{what} needs {nbytes} bytes")


def test_without_room_and_without_texts_the_reason_names_the_memory(monkeypatch, tmp_path):
    monkeypatch.setattr("aprtui.inference.text.require", no_room)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FIXTURES / "qwen2-tiny/hf" / name, tmp_path)
    level, behaviour = run(tmp_path, FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    assert behaviour.texts == ()
    assert any("there are no texts to judge it on" in part for part in level.not_checked)


def test_a_gpu_is_accounted_for_before_anything_goes_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    asked = []

    def memory(device):
        asked.append(device)
        return 1 << 20, 1 << 34

    monkeypatch.setattr("torch.cuda.mem_get_info", memory)
    scope = replace(SCOPE, running=BehaviourSettings("cuda:1"))
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", scope)
    assert (level.outcome, behaviour, asked) == (Outcome.SKIPPED, None, ["cuda:1"])
    assert "a run layer by layer needs 0.5 GiB on cuda:1, and 0.0 GiB are free" in level.not_checked[0]
    level, _ = run(
        FIXTURES / "qwen2-tiny/hf",
        FIXTURES / "qwen2-tiny/gguf/bf16.gguf",
        replace(SCOPE, running=BehaviourSettings("cuda:2")),
    )
    assert "there are only 2 CUDA devices" in level.not_checked[0]


def test_a_pair_of_70_billion_parameters_fits_into_24_gib():
    config = {"hidden_size": 8192, "intermediate_size": 29568}  # Qwen2.5-72B, tokens of its head included
    head, layer = 152064 * 8192 * 4, (8192 * (2 * 8192 + 2 * 1024) + 3 * 8192 * 29568) * 4
    needed = needed_bytes(largest_unit=max(head, layer), head=head, positions=24 * 96, config=config)
    assert 3 * head < needed < 20 << 30


def test_without_torch_it_is_skipped(monkeypatch):
    monkeypatch.setattr(errors, "find_spec", lambda _: None)
    level, _ = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    assert level.outcome is Outcome.SKIPPED
    assert level.not_checked == ("behaviour: torch and transformers not installed (pip install 'aprtui[run]')",)


def test_a_source_without_metadata_is_skipped():
    level, _ = run(FIXTURES / "apr/0.72.3/gemma3-tiny/s-import.apr", FIXTURES / "gemma3-tiny/gguf/bf16.gguf")
    assert level.outcome is Outcome.SKIPPED
    assert level.not_checked[0].startswith("behaviour: the source cannot be run")


@pytest.mark.parametrize(
    "place", [FIXTURES / "qwen2-tiny/hf", DATA / "architectures/gemma2/hf"], ids=["qwen2", "gemma2"]
)
def test_a_source_that_is_not_finite_is_skipped(place, tmp_path):
    """transformers has one attention code for gemma2, so that there is no noise floor to see it by."""

    def broken(tensors):
        tensors["model.norm.weight"][3] = float("nan")

    source = edited(place, tmp_path / "hf", broken)
    for target in (source, place):
        level, behaviour = run(source, target)
        assert (level.outcome, behaviour) == (Outcome.SKIPPED, None)
        assert "the source's logits are not finite" in level.not_checked[0]


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_tied_head_that_the_source_alone_stores_is_the_embedding_in_the_products_type(factor, tmp_path):
    """Where it is another one than the embedding, a product without it lacks it."""

    def untied(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] * factor

    scope = replace(SCOPE, running=BehaviourSettings(tokens=0))
    source = edited("qwen2-tiny", tmp_path / "hf", untied)
    level, behaviour = run(source, FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf", scope)
    if factor == 1.0:
        assert (level.outcome, behaviour.equals_twin) == (Outcome.CORROBORATED, True)
        assert behaviour.first_divergence is None
    else:
        assert (level.outcome, behaviour.first_divergence.name) == (Outcome.FALSIFIED, "lm_head")


def test_the_margin_decides_between_a_tie_and_wrong():
    steps = [(5, 3.0), (7, 0.02), (9, 1.0)]
    assert weigh(steps, [5, 7, 9], 0.1) == (None, None, TextVerdict.EQUAL)
    assert weigh(steps, [5, 8, 1], 0.1) == (1, 0.02, TextVerdict.TIE)
    assert weigh(steps, [6, 7, 9], 0.1) == (0, 3.0, TextVerdict.WRONG)
    assert weigh(steps, [5, 7], 0.1) == (2, 1.0, TextVerdict.WRONG)
    assert judge_text(float("nan"), 1.0) is TextVerdict.WRONG
    assert judge_text(1.0, float("nan")) is TextVerdict.WRONG


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ((), "are empty"),
        ((1,) * 9, "fill the context of 9 tokens"),
        ((1, 7), "have tokens that one model lacks"),
        ((1, 6), ""),
    ],
)
def test_why_a_prompt_is_not_continued(ids, why):
    assert why_unusable(ids, 7, 9) == why


@variants(("name", "kind"), [("llama-tiny256", "Q4_K_M"), ("qwen3-tiny", "bf16")])
def test_each_result_is_told_as_soon_as_it_is_there(name, kind):
    told = []
    scope = replace(SCOPE, levels=(Level.STRUCTURE, Level.BEHAVIOUR))
    source, target = open_model(FIXTURES / name / "hf"), open_model(FIXTURES / name / f"gguf/{kind}.gguf")
    comparison = compare_models(source, target, scope, told=told.append)
    structure, behaviour = comparison.levels
    # Layers come one by one in order of execution, with what the twin explains of each, between their two levels.
    assert told == [structure, *comparison.behaviour.layers, behaviour]
    assert {"self_attn", "mlp", ""} <= {layer.block for layer in told[1:-1]}
    assert all((layer.twin_own is not None) == (kind != "bf16") for layer in told[1:-1])


def test_a_long_prompt_leaves_room_for_the_probes_and_is_named(tmp_path):
    """Also the first one, of which llama.cpp is asked for a beginning."""
    prompts = tuple(f"{number} " + "foo bar baz " * 30 for number in range(30))
    level, behaviour = run(
        FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", replace(SCOPE, prompts=prompts)
    )
    assert level.outcome is Outcome.CORROBORATED
    texts = {one.text for one in behaviour.prompts}
    assert texts.issuperset(prompts) and len(texts) > len(prompts) + 15
    assert behaviour.target.positions <= MOST_POSITIONS
    assert any("logits of 30 of 30 prompts beyond their beginnings" in part for part in level.not_checked)
    assert behaviour.llama_cpp.positions == 64


def test_all_prompts_are_continued_with_weights_that_are_read_once(monkeypatch):
    """A pair of whole models is read for text once each, however many prompts there are."""
    read = []

    def counting(model, ids, most, ends):
        read.append((model, len(model._loaded)))
        return generated(model, ids, most, ends)

    monkeypatch.setattr("aprtui.inference.text.generated", counting)
    scope = replace(SCOPE, prompts=("say it", "and this", "and that"))
    run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", scope)
    assert [loaded > 0 for _, loaded in read] == [False, True, True] * 2


def test_an_empty_prompt_is_called_so():
    scope = replace(SCOPE, prompts=("", "say it"))
    level, behaviour = run(FIXTURES / "qwen2-tiny/hf", FIXTURES / "qwen2-tiny/gguf/bf16.gguf", scope)
    assert level.outcome is Outcome.CORROBORATED
    assert [text.prompt for text in behaviour.texts] == ["say it"]
    assert "text: 1 of 2 prompts are empty" in level.not_checked


@variants(("words", "tokens"), [(200, 6), (1, 600)])
def test_beyond_the_context_nothing_is_generated(words, tokens):
    """gpt2's positions are a table: there is nothing behind its end."""
    prompts = ("say it", "foo bar baz " * words)
    scope = Scope(levels=(Level.BEHAVIOUR,), prompts=prompts, running=BehaviourSettings(tokens=tokens))
    level, behaviour = run(FIXTURES / "gpt2-tiny/hf", FIXTURES / "gpt2-tiny/gguf/bf16.gguf", scope)
    assert level.outcome is Outcome.CORROBORATED
    assert all(0 < len(text.source_ids) < 256 for text in behaviour.texts)
    if words > 1:
        assert [text.prompt for text in behaviour.texts] == ["say it"]
        assert any("text: 1 of 2 prompts fill the context of 256 tokens" in part for part in level.not_checked)


def test_a_difference_that_nothing_holds_to_a_limit_is_no_tie():
    """Types without an encoder of ours have no twin; their texts are told, not judged."""
    tie = TextComparison("p", "s", "t", (1,), (2,), 0, 0.5, 1.0, TextVerdict.TIE)
    assert [tie.word, replace(tie, limit=float("inf")).word] == ["tie", "open"]
    assert replace(tie, limit=float("inf"), verdict=TextVerdict.EQUAL).word == "equal"
