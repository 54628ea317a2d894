"""The playbooks that come with aprtui: one for every architecture with layout rules, all without a problem."""

from pathlib import Path

import make_architecture_playbooks
import pytest

from aprtui.formats.layout.rules import RULES
from aprtui.playbook import ComplaintKind, load_playbook
from aprtui.playbook.draft import Draft, size_category
from aprtui.playbook.yaml_tree import read_yaml

FOLDER = Path(__file__).parents[2] / "playbooks"
OWN = sorted(FOLDER.rglob("*.playbook.yaml"))
QUIET = {ComplaintKind.UNREAD, ComplaintKind.LATER}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name.removesuffix(".playbook.yaml"))
def test_they_load_without_a_problem(path):
    playbook = load_playbook(path)
    assert {complaint.kind for complaint in playbook.complaints} <= QUIET
    assert playbook.name == path.name.removesuffix(".playbook.yaml")


def test_every_architecture_with_layout_rules_has_one():
    assert set(make_architecture_playbooks.MODELS) == set(RULES)


def test_they_are_as_the_script_writes_them():
    written = {path.name: path.read_text() for path in make_architecture_playbooks.FOLDER.iterdir()}
    assert written == make_architecture_playbooks.playbooks(), "run scripts/make_architecture_playbooks.py"


@pytest.mark.parametrize("size", ["0.5b", "1.5b"])
def test_those_of_apr_qa_are_unchanged_below_their_origin(size):
    name = f"qwen2.5-coder-{size}-mvp.playbook.yaml"
    first, _, rest = (FOLDER / "models" / name).read_text().split("\n", 2)
    assert "apr-model-qa-playbook" in first and "MIT" in first
    original = Path(__file__).parents[1] / "data/playbooks/models" / name
    assert size == "1.5b" or rest == original.read_text()


@pytest.mark.parametrize(
    "text", ['quotes " and \\\\', "line\nbreak\ttab", "\x1b[2J\x85\u2028", "a\U0001f600b", "${X} # - :"]
)
def test_what_is_written_is_read_back(tmp_path, text):
    path = tmp_path / "draft.playbook.yaml"
    path.write_text(Draft("draft", ("c",), text, "org/name", "tiny", family=text).text(), encoding="utf-8")
    if "${" not in text:
        assert load_playbook(path).model.family == text
    assert read_yaml(path).at("description") == text


@pytest.mark.parametrize(
    ("parameters", "size"),
    [(494e6, "tiny"), (1.54e9, "small"), (3.8e9, "medium"), (7.6e9, "large"), (32e9, "xlarge"), (70e9, "huge")],
)
def test_size_classes_are_those_of_apr_qas_playbooks(parameters, size):
    assert size_category(int(parameters)) == size
