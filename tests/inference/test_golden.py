"""Golden logits: saved from a source, compared with good and bad products without it, and damaged files refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fixture_files import FIXTURES
from hf_edits import edited, rows
from safetensors import safe_open

from aprtui.cli.main import main
from aprtui.convert.builtin.product import write_product
from aprtui.core.behaviour import TextMode, TextVerdict
from aprtui.core.behaviour_judgement import judge_logits
from aprtui.core.behaviour_level import judge_behaviour
from aprtui.core.errors import FormatError
from aprtui.core.outcomes import Outcome
from aprtui.faults import FAULTS, inject
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.errors import NotAModelError
from aprtui.inference.golden import CONTINUED, MOST_POSITIONS, compare_with_golden, read_golden, save_golden
from aprtui.inference.reference.checkpoint import checkpoint_of
from aprtui.inference.reference.model import ReferenceModel, Runtime
from aprtui.inference.tokenizers import encode_texts

LLAMA = FIXTURES / "llama-tiny256"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    exact, lossy = folder / "exact.safetensors", folder / "q4.safetensors"
    source = open_model(LLAMA / "hf")
    save_golden(source, exact, prompts=("say it",))
    save_golden(source, lossy, product=(Format.GGUF, parse_output_type("q4_k_m")))
    return exact, lossy


def outcome(path, product):
    _, behaviour = compare_with_golden(path, open_model(product))
    return judge_logits(behaviour).outcome, behaviour


def test_it_is_plain_safetensors_with_facts(saved):
    facts, kept = read_golden(saved[0])
    with safe_open(saved[0], "np") as file:
        assert set(file.keys()) == {"logits"}
        assert file.get_tensor("logits").shape == (MOST_POSITIONS, 512)
    assert sum(map(len, facts.ids)) == MOST_POSITIONS
    assert facts.texts[0].startswith("say it") and facts.texts[1] == "say it"
    (prompt,) = encode_texts(open_model(LLAMA / "hf"), ["say it"]).ids
    assert facts.ids[0][: len(prompt)] == prompt and len(facts.ids[0]) == len(prompt) + CONTINUED
    # Stored tokens are what the source says: its most probable id behind each of them.
    assert kept.logits[len(prompt) - 1 : len(facts.ids[0]) - 1].argmax(1).tolist() == list(facts.ids[0][len(prompt) :])
    assert list(facts.files) == ["model.safetensors"]
    assert kept.logits.dtype == "float32"


def test_products_without_the_source(saved):
    exact, lossy = saved
    passed, behaviour = outcome(exact, LLAMA / "gguf/bf16.gguf")
    assert (passed, behaviour.target.differing) == (Outcome.CORROBORATED, 0)
    assert {text.verdict for text in behaviour.texts} == {TextVerdict.EQUAL}
    failed, behaviour = outcome(exact, LLAMA / "gguf/Q8_0.gguf")
    assert (failed, bool(behaviour.wrong_texts)) == (Outcome.FALSIFIED, True)
    passed, behaviour = outcome(lossy, LLAMA / "gguf/Q4_K_M.gguf")
    assert passed is Outcome.CORROBORATED
    assert behaviour.target.mean_kld == pytest.approx(behaviour.twin.mean_kld, rel=1e-6)
    assert {text.mode for text in behaviour.texts} == {TextMode.FORCED}
    assert {text.verdict for text in behaviour.texts} <= {TextVerdict.EQUAL, TextVerdict.TIE}
    assert outcome(lossy, LLAMA / "gguf/Q2_K.gguf")[0] is Outcome.FALSIFIED


def test_text_that_goes_wrong_fails_where_logits_hold(saved):
    _, behaviour = outcome(saved[1], LLAMA / "gguf/Q4_K_M.gguf")
    assert judge_behaviour(behaviour).outcome is Outcome.CORROBORATED
    first, *others = behaviour.texts
    wrong = replace(first, first_difference=3, margin=9.0, limit=1.0, verdict=TextVerdict.WRONG)
    level = judge_behaviour(replace(behaviour, texts=(wrong, *others)))
    (failure,) = level.failures
    assert (failure.subject, failure.message.startswith("behind token 3 of")) == ("text", True)


def test_without_room_for_a_whole_model_the_probe_texts_are_judged(tmp_path, monkeypatch):
    source = open_model(LLAMA / "hf")
    room = ReferenceModel(checkpoint_of(source), Runtime()).nbytes
    monkeypatch.setattr("aprtui.inference.golden.require", lambda *_: None)
    monkeypatch.setattr("aprtui.inference.machine.free_bytes", lambda _: room)
    facts = save_golden(source, tmp_path / "g.safetensors", prompts=("say it",))
    assert (facts.texts[0], facts.no_text) == ("say it", "")


def test_another_machine_may_round_otherwise(saved):
    _, behaviour = outcome(saved[0], LLAMA / "gguf/bf16.gguf")
    statistics = replace(behaviour.target, differing=5, max_kld=1e-12)
    rounded = replace(behaviour, target=statistics, equals_twin=False)
    assert judge_logits(rounded).outcome is Outcome.FALSIFIED
    assert judge_logits(replace(rounded, same_arithmetic=False)).outcome is Outcome.CORROBORATED
    far = replace(rounded, same_arithmetic=False, target=replace(statistics, max_kld=1e-6))
    assert judge_logits(far).outcome is Outcome.FALSIFIED


def test_what_is_no_golden_file_is_refused(saved, tmp_path):
    with pytest.raises(FormatError, match="this is GGUF, and SafeTensors is wanted here"):
        read_golden(FIXTURES / "qwen2-tiny/gguf/bf16.gguf")
    with pytest.raises(FormatError, match="no golden file"):
        read_golden(LLAMA / "hf/model.safetensors")
    raw = saved[1].read_bytes()
    for old, new in ((b'\\"version\\": 1', b'\\"version\\": 9'), (b"twin.same_top", b"twin.same_tip")):
        assert old in raw
        damaged = tmp_path / "damaged.safetensors"
        damaged.write_bytes(raw.replace(old, new))
        with pytest.raises(FormatError, match="damaged, or of another version"):
            read_golden(damaged)
    (tmp_path / "short.safetensors").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(FormatError):
        read_golden(tmp_path / "short.safetensors")


def test_a_product_with_fewer_tokens_is_no_model_for_it(saved, tmp_path):
    with pytest.raises(NotAModelError, match="lacks"):
        compare_with_golden(saved[0], open_model(FIXTURES / "apr/0.72.3/llama-tiny256/s-convert-q4k.apr"))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_commands(capsys, tmp_path):
    file = tmp_path / "g.safetensors"
    code, out, _ = run(capsys, "golden", "save", LLAMA / "hf", file)
    assert (code, "logits at 256 positions" in out) == (0, True)
    code, out, _ = run(capsys, "golden", "compare", file, LLAMA / "gguf/f32.gguf")
    assert (code, out.startswith("pass  all 131072 logits")) == (0, True)
    code, out, _ = run(capsys, "golden", "compare", file, LLAMA / "gguf/Q4_0.gguf", "--format", "json")
    assert (code, json.loads(out)["judgement"]["outcome"]) == (1, "Falsified")
    code, out, _ = run(capsys, "golden", "compare", file, FIXTURES / "apr/0.72.3/gemma3-tiny/s-import.apr")
    assert (code, out.startswith("NOT EQUIVALENT")) == (1, True)
    code, _, err = run(capsys, "golden", "save", LLAMA / "hf", file, "--to", "gguf")
    assert (code, "belong together" in err) == (2, True)
    code, _, err = run(capsys, "golden", "compare", file, LLAMA / "gguf/f32.gguf", "--device", "cuda")
    assert (code, "no CUDA device" in err) == (3, True)
    code, _, err = run(capsys, "golden", "save", LLAMA / "hf", file, "--device", "tpu")
    assert (code, "unknown device" in err) == (2, True)


def test_products_that_are_no_model_are_findings_in_either_form(saved, capsys, tmp_path):
    (tmp_path / "no.gguf").write_bytes(b"no model")
    for product, said in (
        (tmp_path / "no.gguf", "this is not SafeTensors"),
        (FIXTURES / "apr/0.72.3/gemma3-tiny/s-import.apr", "makes no model"),
    ):
        code, out, _ = run(capsys, "golden", "compare", saved[0], product)
        assert (code, out.startswith("NOT EQUIVALENT"), said in out) == (1, True, True)
        code, out, _ = run(capsys, "golden", "compare", saved[0], product, "--format", "json")
        level = json.loads(out)["level"]
        assert (code, level["outcome"], level["findings"][0]["subject"]) == (1, "Falsified", "model")
        assert said in level["findings"][0]["message"]
    code, _, err = run(capsys, "golden", "compare", saved[0], tmp_path / "absent.gguf")
    assert (code, "there is no such file" in err) == (3, True)


def test_other_tokens_than_the_sources_fail_though_logits_hold(saved, capsys, tmp_path):
    source, good = open_model(LLAMA / "hf"), LLAMA / "gguf/bf16.gguf"
    damaged = inject(FAULTS["tokenizer.add_bos"], good, tmp_path / "x", source=source)
    code, out, _ = run(capsys, "golden", "compare", saved[0], damaged.path)
    assert (code, out.startswith("FAIL  all 131072 logits")) == (1, True)
    assert " texts differ, the first from token " in out
    code, out, _ = run(capsys, "golden", "compare", saved[0], damaged.path, "--format", "json")
    parts = json.loads(out)
    assert (code, parts["level"]["outcome"], parts["tokenizer"]["outcome"]) == (1, "Corroborated", "Falsified")
    product = edited("llama-tiny256", tmp_path / "hf")
    (product / "tokenizer.json").unlink()
    code, out, _ = run(capsys, "golden", "compare", saved[0], product)
    assert (code, "not checked: ids: target: it has no tokenizer" in out) == (0, True)


def test_a_lossless_product_passes_where_a_layout_rule_computes(tmp_path):
    """gemma3's norms are stored with 1 added: what that rounds away, its own forward pass does as well."""

    def tiny(tensors):
        tensors["model.norm.weight"][:] = 1.25 * 2**-23

    source = open_model(edited("gemma3-tiny", tmp_path / "hf", tiny))
    product, outtype = tmp_path / "product.gguf", parse_output_type("bf16")
    write_product(source, Format.GGUF, product, outtype)
    save_golden(source, tmp_path / "golden", product=(Format.GGUF, outtype))
    judged, behaviour = outcome(tmp_path / "golden", product)
    assert (judged, behaviour.lossless, behaviour.equals_twin) == (Outcome.CORROBORATED, True, True)
    assert outcome(tmp_path / "golden", FIXTURES / "gemma3-tiny/gguf/bf16.gguf")[0] is Outcome.FALSIFIED


def test_a_product_with_other_tokens_is_named(tmp_path):
    """One that the layout rule cuts is none."""
    save_golden(open_model(FIXTURES / "qwen2-tiny/hf"), tmp_path / "golden")
    padded = edited("qwen2-tiny", tmp_path / "padded", rows(576), vocab_size=576)
    _, behaviour = outcome(tmp_path / "golden", padded)
    level = judge_behaviour(behaviour)
    assert (level.outcome, [one.subject for one in level.failures]) == (Outcome.FALSIFIED, ["vocabulary"])
    source = open_model(edited("gemma3-tiny", tmp_path / "hf", rows(576), vocab_size=576))
    write_product(source, Format.GGUF, tmp_path / "product.gguf", parse_output_type("bf16"))
    save_golden(source, tmp_path / "golden")
    _, behaviour = outcome(tmp_path / "golden", tmp_path / "product.gguf")
    assert judge_behaviour(behaviour).outcome is Outcome.CORROBORATED


def test_what_is_not_finite_is_neither_saved_nor_compared(saved, tmp_path):
    def broken(tensors):
        tensors["model.norm.weight"][3] = float("nan")

    with pytest.raises(NotAModelError, match="the source's logits are not finite"):
        save_golden(open_model(edited("llama-tiny256", tmp_path / "hf", broken)), tmp_path / "golden")
    assert not (tmp_path / "golden").exists()
    raw = bytearray(saved[0].read_bytes())
    raw[-4:] = np.float32("nan").tobytes()
    (tmp_path / "nan.safetensors").write_bytes(raw)
    with pytest.raises(FormatError, match="not finite"):
        read_golden(tmp_path / "nan.safetensors")


def test_a_golden_file_needs_logits_of_its_own_tokens(saved, tmp_path):
    """A header may say anything, also that there are none."""
    header, _ = saved[0].read_bytes()[8:].split(b"}}", 1)
    facts = json.loads(header + b"}}")
    facts["logits"] |= {"shape": [MOST_POSITIONS, 0], "data_offsets": [0, 0]}
    text = json.dumps(facts).encode()
    (tmp_path / "none.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(FormatError, match="tokens that have no logits"):
        read_golden(tmp_path / "none.safetensors")


@pytest.mark.parametrize(("name", "tokens", "positions"), [("qwen2-tiny", 100, None), ("gpt2-tiny", None, 10)])
def test_prompts_that_a_source_cannot_go_on_from_are_left_out(name, tokens, positions, tmp_path):
    """Because of tokens that have no row, or of a context that is full."""

    def shorter(tensors):
        tensors["transformer.wpe.weight"] = tensors["transformer.wpe.weight"][:positions]

    change = rows(tokens) if tokens else shorter
    source = edited(name, tmp_path / "hf", change, **({"vocab_size": tokens} if tokens else {"n_positions": positions}))
    facts = save_golden(open_model(source), tmp_path / "golden")
    assert facts.encoded_from == 0 and facts.texts[0] == "Hello world"
    assert outcome(tmp_path / "golden", source)[0] is Outcome.CORROBORATED


def test_doctor_shows_engines(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    _, out, _ = run(capsys, "doctor", "--format", "json")
    checks = {check["name"]: check for check in json.loads(out) if check["group"] == "engines"}
    assert "transformers" in checks["reference"]["facts"]["version"]
    assert checks["llama.cpp"]["facts"]["digest"].startswith("xxh3:")
    assert (checks["apr"]["state"], "not installed" in checks["apr"]["found"]) == ("missing", True)


def test_diff_at_behaviour(capsys):
    pair = (LLAMA / "hf", LLAMA / "gguf/Q8_0.gguf")
    code, out, _ = run(capsys, "diff", *pair, "--level", "behaviour", "--tokens", "4", "--prompt", "Say it.")
    assert code == 0
    assert "expected-loss twin" in out and "greedy text" in out and "'Say it.'" in out
    assert out.count("  furthest: KLD ") == 3 and " at token " in out
    code, out, _ = run(capsys, "diff", *pair, "--level", "all", "--tokens", "0", "--format", "json")
    whole = json.loads(out)
    assert [level["level"] for level in whole["levels"]][-1] == "behaviour"
    assert whole["behaviour"]["equals_twin"] is True
    code, out, _ = run(capsys, "diff", *pair, "--level", "behaviour", "--device", "cuda")
    assert code == 5
    assert "no CUDA device here" in out
