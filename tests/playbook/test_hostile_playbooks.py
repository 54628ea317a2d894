"""Playbooks from strangers: whatever is in the file, the answer is a playbook or one usage error, and soon."""

from time import monotonic

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aprtui.core.errors import UsageError
from aprtui.playbook import Playbook, load_playbook, read_document

PATHS = [
    *("name", "version", "model", "test_matrix", "differential_tests", "contract_tests", "failure_policy", "aprtui"),
    *("model.hf_repo", "model.local_path", "model.formats", "model.quantizations", "model.size_category"),
    *("model.expected_hidden_dim", "test_matrix.seed", "test_matrix.prompts", "test_matrix.backends"),
    *("differential_tests.inference_compare", "differential_tests.inference_compare.enabled"),
    *("differential_tests.inference_compare.tolerance", "contract_tests.invariants"),
    *("aprtui.outtype", "aprtui.levels", "aprtui.tensors", "aprtui.allow_skip", "aprtui.tolerance", "aprtui.command"),
    *("aprtui.tolerance.ulp", "aprtui.outtype.default"),
]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.binary(max_size=4)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


def outcome(path):
    """What loading gives; anything but a playbook or a usage error fails the test."""
    try:
        playbook = load_playbook(path)
    except UsageError as error:
        return error
    assert isinstance(playbook, Playbook)
    assert all(complaint.line >= 1 for complaint in playbook.complaints)
    return playbook


@pytest.fixture
def file(tmp_path):
    return tmp_path / "hostile.playbook.yaml"


@given(at=st.sampled_from(PATHS), value=values)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_at_any_key(file, at, value):
    document = {"name": "a", "model": {"hf_repo": "b/c"}}
    *above, last = at.split(".")
    inner = document
    for part in above:
        inner = inner.setdefault(part, {})
    inner[last] = value
    try:
        text = yaml.safe_dump(document)
        file.write_text(text, encoding="utf-8")
    except UnicodeEncodeError:
        return
    outcome(file)


@given(content=st.binary(max_size=200))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(file, content):
    file.write_bytes(content)
    outcome(file)


@given(text=st.text(alphabet="ab:- \n\t[]{},'\"&*!|>#%@?\\~0x", max_size=80))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_punctuation(file, text):
    file.write_text("name: a\nmodel: {hf_repo: b/c}\n" + text)
    outcome(file)


BOMB = "a: &a [x,x,x,x]\n" + "\n".join(f"k{n}: &k{n} [*a,*a,*a,*a]" for n in range(30))

ATTACKS = {
    "billion laughs": (BOMB, "anchors and aliases"),
    "code in a tag": ("name: !!python/object/apply:os.system ['true']\n", "tags are not read"),
    "a tag on the document": ("!!python/name:os.system {}\n", "tags are not read"),
    "deep lists": ("x: " + "[" * 100_000, "nested too deeply"),
    "deep mappings": ("x: " + "{a: " * 50_000, "nested too deeply"),
    "indented deeply": ("\n".join(" " * n + "a:" for n in range(600)), "nested too deeply"),
    "too large": ("x: '" + "y" * 300_000 + "'\n", "more than 262144 bytes"),
    "one key twice": (
        "name: a\nmodel: {hf_repo: b/c}\nname: d\n",
        r"line 3: 'name' stands here twice, first in line 1",
    ),
    "a list as a key": ("? [a, b]\n: c\n", "a key is a word"),
    "two documents": ("name: a\n---\nname: b\n", "a second document"),
    "a date that does not exist": ("name: a\nversion: 2026-13-45\n", "names no model"),
    "a huge number": (
        "name: a\nmodel: {hf_repo: b/c}\ntest_matrix: {seed: " + "9" * 5000 + "}\n",
        r"test_matrix\.seed: ",
    ),
    "a way out of the folder": (
        "name: ../../evil\nmodel: {hf_repo: b/c}\n",
        r"line 1, name: '\.\./\.\./evil' is not a na",
    ),
    "control characters": ('name: "a\\e[2J"\nmodel: {hf_repo: b/c}\n', "is not a name"),
    "a null in a path": ('name: a\nmodel: {hf_repo: b/c, local_path: "a\\0b"}\n', "is not a path"),
    "nobody's home": (
        "name: a\nmodel: {hf_repo: b/c, local_path: ~nobody-here/x}\n",
        "a home directory that is unknown",
    ),
    "empty": ("", "a playbook is a mapping"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(file, attack):
    text, message = ATTACKS[attack]
    file.write_text(text)
    begun = monotonic()
    with pytest.raises(UsageError, match=message):
        load_playbook(file)
    assert monotonic() - begun < 10


def test_a_folder_and_a_name_that_is_no_path(tmp_path):
    with pytest.raises(UsageError, match="not a file"):
        load_playbook(tmp_path)
    with pytest.raises(UsageError, match="not a path"):
        read_document(tmp_path / "a\0b")


def test_several_mistakes_are_named_in_one_line(file):
    file.write_text("name: a\nmodel:\n  hf_repo: b/c\n  expected_num_heads: many\ntest_matrix:\n  backends: [tpu]\n")
    with pytest.raises(UsageError) as refused:
        load_playbook(file)
    assert refused.value.message == (
        f"{file}, line 4, model.expected_num_heads: a whole number expected, found 'many' "
        "(and 1 more: test_matrix.backends)"
    )


def test_a_key_that_is_nearly_right_says_which_one_was_meant(file):
    file.write_text("name: a\nmodel: {hf_repo: b/c}\ntest_matrix:\n  timeout: 3\n  time_out_ms: 5\nfailure-policy: x\n")
    messages = {complaint.key: complaint.message for complaint in load_playbook(file).complaints}
    assert messages["test_matrix.time_out_ms"] == "nothing reads this key; did you mean timeout_ms?"
    assert messages["failure-policy"] == "nothing reads this key; did you mean failure_policy?"
