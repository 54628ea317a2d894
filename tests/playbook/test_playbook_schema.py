"""The generated JSON schema: up to date, legal, and of one mind with the loader about good and bad files."""

from pathlib import Path

import jsonschema
import make_playbook_schema
import pytest
import yaml
from make_playbook_schema import sections

from aprtui.core.errors import UsageError
from aprtui.playbook import load_playbook
from aprtui.playbook.complaints import section_in
from aprtui.playbook.keys import PlaybookKeys

ROOT = Path(__file__).parents[2]
OWN = sorted((ROOT / "playbooks").rglob("*.playbook.yaml"))
COPIES = sorted((ROOT / "tests/data/playbooks/models").iterdir())
HEAD = "name: tiny\nmodel: {hf_repo: org/name}\n"


@pytest.fixture(scope="module")
def validator():
    schema = make_playbook_schema.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_file_is_up_to_date():
    assert make_playbook_schema.FILE.read_text() == make_playbook_schema.text(), "run scripts/make_playbook_schema.py"


@pytest.mark.parametrize("path", [*OWN, *COPIES], ids=lambda path: path.name)
def test_playbooks_obey_the_schema(validator, path):
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "aprtui: {outtype: f16, levels: [weights], tolerance: {ulp: 1e-5}}",
        "aprtui: {outtype: {default: f16, F-CONV-S-G: q4_k_m}}",
        "differential_tests: {inference_compare: {enabled: 'yes', tolerance: 0.1}}",
        "test_matrix: {seed: '7'}",
    ],
)
def test_what_loads_is_valid(validator, tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(HEAD + text)
    load_playbook(path)
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "aprtui: {outtypes: f16}",
        "aprtui: {outtype: {S-G: f16}}",
        "aprtui: {allow_skip: [all]}",
        "aprtui: {tolerance: {ulp: much}}",
        "test_matrix: {backends: [tpu]}",
        "failure_policy: never",
        "contract_tests: {invariants: [I-9]}",
    ],
)
def test_what_does_not_load_is_not_valid(validator, tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(UsageError):
        load_playbook(path)
    assert not validator.is_valid(yaml.safe_load(path.read_text()))


def test_every_key_is_described_in_the_documentation():
    text = (ROOT / "docs" / "playbooks.md").read_text()
    fields = [field for section in sections(PlaybookKeys) for field in section.model_fields.items()]
    keys = {name for name, field in fields if section_in(field.annotation) is None}
    assert len(keys) > 20
    assert sorted(key for key in keys if f"`{key}`" not in text and f".{key}`" not in text) == []
