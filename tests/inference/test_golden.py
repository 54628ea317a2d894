"""Golden logits: saved from a source, compared with good and bad products without it, and damaged files refused."""

import json
from dataclasses import replace

import pytest
from fixture_files import FIXTURES
from safetensors import safe_open

from aprtui.cli.main import main
from aprtui.core.behaviour import TextMode, TextVerdict
from aprtui.core.behaviour_judgement import judge_logits
from aprtui.core.behaviour_level import judge_behaviour
from aprtui.core.errors import FormatError
from aprtui.core.outcomes import Outcome
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
