"""`aprtui playbooks` and `aprtui init` as a user runs them."""

import json
from pathlib import Path

import pytest
from fixture_files import FIXTURES

from aprtui.cli import main
from aprtui.playbook import ComplaintKind, load_playbook

ROOT = Path(__file__).parents[2]
COPIES = ROOT / "tests/data/playbooks"
DEMO = ROOT / "aprtui/demo/model/qwen2-demo"


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(stopped.value.code or 0), captured.out, captured.err


def rows(out):
    return {line.split()[0]: line for line in out.splitlines() if line.strip()}


def test_our_own_and_those_in_the_working_directory(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks/mine.yaml").write_text("name: mine\nmodel: {hf_repo: org/name, formats: gguf}\n")
    code, out, _ = run(capsys, "playbooks")
    assert code == 0
    assert rows(out)["demo"].split() == ["demo", "1.0.0", "aprtui/qwen2-demo", "safetensors,", "apr,", "gguf"]
    assert rows(out)["mine"].split() == ["mine", "org/name", "gguf"]
    assert {"qwen3", "gpt2", "qwen2.5-coder-0.5b-mvp"} <= set(rows(out))


def test_other_kinds_of_documents_stand_in_the_list_and_lock_and_schema_do_not(capsys):
    code, out, _ = run(capsys, "playbooks", COPIES)
    assert code == 0
    assert rows(out)["verify-ticket-177"].endswith("verification ticket")
    assert rows(out)["mvp-certification"].split()[2:] == ["${MODEL_ID}", "template"]
    assert rows(out)["spec-gateway-g4"].endswith("specification")
    assert "lock" not in out and "schema" not in out


def test_problems_are_counted_and_a_file_tells_them_all(capsys):
    path = COPIES / "models/qwen2.5-coder-7b.playbook.yaml"
    code, out, _ = run(capsys, "playbooks", path)
    assert code == 0
    assert rows(out)["qwen2.5-coder-7b"].endswith("1 problem")
    assert f"{path}:62: failure_policy: stop_on_p0 is overruled" in out
    assert "not read: description (line 8), test_matrix.scenario_count (line 30)" in out
    assert "not used by this version of aprtui: model.size_category (line 20)" in out


def test_json_has_every_complaint_with_file_and_line(capsys):
    code, out, _ = run(capsys, "playbooks", COPIES, "--format", "json")
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert code == 0
    assert found["mvp-certification"]["placeholders"] == ["${MODEL_ID}"]
    (lock,) = [c for c in found["qwen2.5-3b-general-mvp"]["complaints"] if c["kind"] == "lock file"]
    assert lock["line"] >= 1 and lock["file"].endswith("qwen2.5-3b-mvp.playbook.yaml")
    assert found["smollm2-135m-mvp"]["formats"] == ["safetensors", "apr", "gguf"]


def test_a_playbook_that_does_not_load_is_in_the_list_and_in_the_exit_code(capsys, tmp_path):
    (tmp_path / "broken.yaml").write_text("name: [\n")
    (tmp_path / "wrong.yaml").write_text("name: wrong\nmodel: {hf_repo: a/b, formats: onnx}\n")
    (tmp_path / "fine.yaml").write_text("name: fine\nmodel: {hf_repo: a/b}\n")
    (tmp_path / "escape.yaml").write_text('name: "\\e[31mred"\nmodel: {hf_repo: a/b}\n')
    code, out, _ = run(capsys, "playbooks", tmp_path)
    assert code == 2
    assert "not valid YAML" in rows(out)["broken.yaml"]
    assert "unknown format 'onnx'" in rows(out)["wrong"]
    assert "does not load" not in rows(out)["fine"]
    assert "\x1b[31m" not in out


def test_a_place_that_does_not_exist(capsys, tmp_path):
    code, _, err = run(capsys, "playbooks", tmp_path / "none")
    assert code == 2 and "there is no such file or folder" in err


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("verify/TICKET-177.yaml", "a verification ticket"),
        ("templates/mvp.yaml", "a template"),
        ("spec/gateway-g4-output-quality.yaml", "a specification of a gateway"),
    ],
)
def test_running_something_else_says_what_it_is(capsys, name, kind):
    code, _, err = run(capsys, "run", COPIES / name)
    assert code == 2 and f"{name}, line 1: this is {kind}" in err


def test_run_names_what_has_no_effect(capsys, tmp_path):
    path = COPIES / "models/qwen2.5-coder-7b.playbook.yaml"
    _, _, err = run(capsys, "run", path, "--model", DEMO, "--output", tmp_path)
    assert f"{path}:62: failure_policy: stop_on_p0 is overruled" in err
    assert "not read: description (line 8)" in err and "not used by this version of aprtui: model.size_" in err


@pytest.mark.parametrize("model", ["hf", "gguf/Q8_0.gguf", "../apr/0.72.3/qwen2-tiny/s-import.apr"])
def test_init_writes_the_numbers_of_the_model(capsys, tmp_path, model):
    config = json.loads((FIXTURES / "qwen2-tiny/hf/config.json").read_text())
    file = tmp_path / "new.playbook.yaml"
    code, out, _ = run(capsys, "init", FIXTURES / "qwen2-tiny" / model, "-o", file)
    assert code == 0 and str(file) in out
    playbook = load_playbook(file)
    assert playbook.model.local_path.resolve() == (FIXTURES / "qwen2-tiny" / model).resolve()
    assert {complaint.kind for complaint in playbook.complaints} <= {ComplaintKind.UNREAD, ComplaintKind.LATER}
    assert (playbook.model.family, playbook.model.size_category) == ("qwen2", "tiny")
    assert playbook.model.expected_hidden_dim == config["hidden_size"]
    assert playbook.model.expected_num_layers == config["num_hidden_layers"]
    assert playbook.model.expected_num_heads == config["num_attention_heads"]
    assert playbook.model.expected_num_kv_heads == config["num_key_value_heads"]
    assert playbook.model.expected_vocab_size == config["vocab_size"]
    assert playbook.model.expected_intermediate_dim == config["intermediate_size"]


def test_what_init_wrote_runs_from_anywhere(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "init", DEMO)[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, out, _ = run(capsys, "run", "../qwen2-demo.playbook.yaml")
    assert code == 5 and "F-CONV-S-G" in out


def test_init_of_a_model_with_a_strange_path(capsys, tmp_path):
    place = tmp_path / 'Größe "x" \U0001f600\n#'
    place.symlink_to(DEMO, target_is_directory=True)
    assert run(capsys, "init", place, "-o", tmp_path / "strange.yaml")[0] == 0
    playbook = load_playbook(tmp_path / "strange.yaml")
    assert (playbook.model.local_path, playbook.name) == (place, "gr-e-x")


def test_init_never_overwrites(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    code, _, err = run(capsys, "init", DEMO, "-o", file)
    assert code == 2 and "not overwritten" in err
    assert file.read_text() == "precious"


def test_init_finds_repositories_of_the_hugging_face_cache(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--Org--Tiny-Model_1" / "snapshots" / "0123abcd"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(DEMO, target_is_directory=True)
    for number, named in enumerate(("Org/Tiny-Model_1", snapshot)):
        file = tmp_path / f"{number}.yaml"
        assert run(capsys, "init", named, "-o", file)[0] == 0
        playbook = load_playbook(file)
        assert (playbook.name, playbook.model.hf_repo) == ("tiny-model-1", "Org/Tiny-Model_1")
        assert playbook.model.local_path is None


@pytest.mark.parametrize(
    "case",
    [
        ("nobody/nothing", 3, "download it with `hf download nobody/nothing`"),
        ("no such thing", 3, "no model here"),
        (Path(__file__), 3, "test_playbooks_cli.py"),
    ],
)
def test_init_without_a_model(capsys, tmp_path, monkeypatch, case):
    model, code, message = case
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found, _, err = run(capsys, "init", model)
    assert found == code and message in err
    assert list(tmp_path.iterdir()) == []
