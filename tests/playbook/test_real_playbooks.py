"""apr-qa's own files: every layout loads, every complaint points at its key, other documents say what they are."""

import os
from pathlib import Path

import pytest
import yaml

from aprtui.core.errors import UsageError
from aprtui.core.gates import FORMAT_NAMES
from aprtui.playbook import ComplaintKind, DocumentKind, load_playbook, read_document

COPIES = Path(__file__).parents[1] / "data" / "playbooks"
ALL_OF_THEM = os.environ.get("APR_QA_PLAYBOOKS")

MODELS = sorted([*(COPIES / "models").iterdir(), COPIES / "examples/llama-3.2.yaml"])


def check_against_yaml(path):
    """Compare with PyYAML's own reading, and every complaint with the text of its line."""
    playbook, raw = load_playbook(path), yaml.safe_load(path.read_text())
    matrix = raw["test_matrix"]
    assert (playbook.name, playbook.version) == (raw["name"], raw["version"])
    assert playbook.model.hf_repo == raw["model"]["hf_repo"]
    assert [FORMAT_NAMES[letter] for letter in playbook.model.formats] == raw["model"]["formats"]
    assert playbook.seed == matrix.get("seed", 0)
    assert playbook.test_matrix.timeout_ms == matrix.get("timeout_ms")
    assert list(playbook.test_matrix.modalities) == matrix["modalities"]
    assert [kind.value for kind in playbook.oracles.kinds] == [one["type"] for one in raw.get("oracles", [])]
    assert (playbook.profile is None) == ("profile_ci" not in raw)
    if playbook.profile is not None:
        stated = raw["profile_ci"]["assertions"]
        assert playbook.profile.measure == raw["profile_ci"]["measure"]
        assert playbook.profile.assertions.limits.p99_ms == stated.get("max_p99_ms")
        least = stated.get("min_throughput_cpu", stated.get("min_throughput"))
        assert playbook.profile.assertions.limits.throughput.get("cpu") == least
    assert not playbook.gateways.left_out
    assert list(playbook.test_matrix.prompts) == matrix.get("prompts", [])
    assert list(playbook.test_matrix.backends) == matrix["backends"]
    assert list(playbook.model.quantizations) == raw["model"].get("quantizations", [])
    assert playbook.model.expected_vocab_size == raw["model"].get("expected_vocab_size")
    assert list(playbook.contract_tests.invariants) == raw.get("contract_tests", {}).get("invariants", [])
    if (compared := playbook.differential_tests.inference_compare) is not None:
        stated = raw["differential_tests"]["inference_compare"]
        assert (compared.enabled, compared.tolerance) == (True, float(stated["tolerance"]))
    for complaint in playbook.complaints:
        text = (complaint.file or path).read_text().splitlines()[complaint.line - 1].strip()
        assert text.startswith(complaint.key.split(".")[-1] + ":")
    return playbook


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name.removesuffix(".playbook.yaml"))
def test_every_layout_of_model_playbooks_loads(path):
    playbook = check_against_yaml(path)
    # Each key that has no effect is named once.
    keys = [complaint.key for complaint in playbook.complaints if complaint.kind is not ComplaintKind.LOCK]
    assert len(keys) == len(set(keys))
    assert not [complaint for complaint in playbook.complaints if complaint.kind is ComplaintKind.UNKNOWN]


def test_quoted_booleans_and_numbers_as_text_are_what_they_say():
    compared = load_playbook(COPIES / "models/qwen2.5-coder-7b.playbook.yaml").differential_tests.inference_compare
    assert isinstance(yaml.safe_load("a: 1e-5")["a"], str)
    assert (compared.enabled, compared.tolerance, compared.max_tokens) == (True, 1e-5, 10)


def test_a_playbook_says_what_it_expects_of_its_model():
    model = load_playbook(COPIES / "models/qwen2.5-coder-0.5b-mvp.playbook.yaml").model
    assert (model.expected_hidden_dim, model.expected_num_layers, model.expected_num_heads) == (896, 24, 14)
    assert (model.expected_num_kv_heads, model.expected_intermediate_dim) == (2, 4864)


OTHERS = {
    "templates/mvp.yaml": (DocumentKind.TEMPLATE, r"a template: it still holds \$\{MODEL_ID\}; replace them first"),
    "templates/quick-check.yaml": (DocumentKind.TEMPLATE, r"\$\{MODEL_NAME\}, \$\{HF_REPO\}"),
    "spec/gateway-g4-output-quality.yaml": (DocumentKind.SPECIFICATION, "a specification of a gateway"),
    "verify/TICKET-177.yaml": (DocumentKind.VERIFICATION, "a verification ticket"),
    "verify/TICKET-0001-example.yaml": (DocumentKind.VERIFICATION, "a verification ticket"),
    "verify/fail-fast-falsification.yaml": (DocumentKind.VERIFICATION, "a verification ticket"),
    "playbook.lock.yaml": (DocumentKind.LOCK, "a lock file"),
    "playbook.schema.yaml": (DocumentKind.SCHEMA, "a schema"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_documents_are_read_and_running_them_says_what_they_are(name):
    kind, message = OTHERS[name]
    assert read_document(COPIES / name).kind is kind
    with pytest.raises(UsageError, match=message):
        load_playbook(COPIES / name)


def test_documents_show_their_outside():
    ticket = read_document(COPIES / "verify/fail-fast-falsification.yaml")
    assert (ticket.name, ticket.version) == ("fail-fast-falsification", "")
    assert ticket.model == "Qwen/Qwen2.5-Coder-1.5B-Instruct"


def test_a_template_that_was_filled_in_is_a_playbook(tmp_path):
    filled = tmp_path / "mvp.yaml"
    filled.write_text((COPIES / "templates/mvp.yaml").read_text().replace("${MODEL_ID}", "org/name"))
    assert load_playbook(filled).model.hf_repo == "org/name"


@pytest.mark.skipif(not ALL_OF_THEM, reason="APR_QA_PLAYBOOKS names no folder with apr-qa's playbooks")
def test_all_files_of_apr_qa_load():
    folder = Path(ALL_OF_THEM)
    models = sorted((folder / "models").glob("*.yaml"))
    assert len(models) > 50
    for path in models:
        check_against_yaml(path)
    for name in ("templates", "spec", "verify"):
        kinds = {read_document(path).kind for path in (folder / name).glob("*.yaml")}
        assert len(kinds) == 1 and DocumentKind.PLAYBOOK not in kinds
