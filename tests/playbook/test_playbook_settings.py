"""Keys of aprtui's own, in a playbook and beside it: checked strictly, never accepted in silence, never a program."""

import pytest

from aprtui.core.errors import UsageError
from aprtui.core.outcomes import Level
from aprtui.playbook import load_playbook

HEAD = "name: tiny\nmodel:\n  hf_repo: org/name\n"


def load(tmp_path, text, beside=None):
    path = tmp_path / "tiny.playbook.yaml"
    path.write_text(HEAD + text)
    if beside is not None:
        (tmp_path / "tiny.aprtui.yaml").write_text(beside)
    return load_playbook(path)


def test_without_settings_conversions_are_lossless_and_every_level_counts(tmp_path):
    playbook = load(tmp_path, "")
    assert playbook.outtype("F-CONV-S-G") == ("lossless", False)
    assert (playbook.settings.levels, playbook.settings.tensors, playbook.settings.allow_skip) == ((), (), ())
    assert playbook.complaints == ()


def test_an_output_type_for_all_pairs(tmp_path):
    playbook = load(tmp_path, "aprtui:\n  outtype: f16\n")
    assert playbook.outtype("F-CONV-S-G") == ("f16", False)


def test_an_output_type_for_one_pair_goes_before_the_default(tmp_path):
    playbook = load(tmp_path, "aprtui:\n  outtype:\n    default: f16\n    F-CONV-S-G: q4_k_m\n")
    assert playbook.outtype("F-CONV-S-G") == ("q4_k_m", True)
    assert playbook.outtype("F-CONV-S-A") == ("f16", False)
    file, place = playbook.place("aprtui", "outtype", "F-CONV-S-G")
    assert (file, place) == (playbook.path, "line 7, aprtui.outtype.F-CONV-S-G")


def test_levels_tensors_and_gates(tmp_path):
    text = "aprtui:\n  levels: [weights, structure]\n  tensors: '*.mlp.*'\n  allow_skip: [F-CONV-A-G]\n"
    settings = load(tmp_path, text).settings
    assert settings.levels == (Level.WEIGHTS, Level.STRUCTURE)
    assert (settings.tensors, settings.allow_skip) == (("*.mlp.*",), ("F-CONV-A-G",))


def test_a_gate_that_does_not_exist_is_named(tmp_path):
    (complaint,) = load(tmp_path, "aprtui:\n  allow_skip: [F-CONV-S-G, F-CONV-S-X]\n").complaints
    assert (complaint.line, complaint.message) == (5, "F-CONV-S-X is no gate of this version of aprtui")


def test_each_tolerance_knows_the_line_and_the_file_of_its_key(tmp_path):
    own = "aprtui:\n  tolerance:\n    # ours\n    ulp: 1\n    rmse_ratio: 2\n"
    playbook = load(tmp_path, own)
    assert playbook.tolerances.origins == {
        key: f"{playbook.path}, line {7 + at}" for at, key in enumerate(("ulp", "rmse_ratio"))
    }
    beside = load(tmp_path, "", beside="aprtui:\n  tolerance:\n\n    kld_factor: 2\n").tolerances
    assert beside.origins == {"kld_factor": f"{tmp_path / 'tiny.aprtui.yaml'}, line 4"}


def test_tolerances_are_numbers(tmp_path):
    playbook = load(tmp_path, "aprtui:\n  tolerance: {ulp: 1, kld_factor: '1.5'}\n")
    assert (playbook.settings.tolerance.ulp, playbook.settings.tolerance.kld_factor) == (1, 1.5)
    assert playbook.complaints == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aprtui: {outtypes: f16}", r"line 4, aprtui\.outtypes: aprtui has no such key; did you mean outtype\?"),
        ("aprtui: {colour: red}", r"aprtui\.colour: aprtui has no such key; use allow_skip, levels, outtype, tens"),
        ("aprtui:\n  tolerance: {scale-ulp: 1}", r"line 5, aprtui\.tolerance\.scale-ulp: .* did you mean scale_ulp\?"),
        ("aprtui: {outtype: {S-G: f16}}", r"'S-G' is no conversion; use default, F-CONV-S-G"),
        ("aprtui: {outtype: [f16]}", "a mapping expected, found a list"),
        ("aprtui: {levels: [weight]}", r"'weight' is not a level; use integrity, structure"),
        ("aprtui: {allow_skip: [everything]}", "'everything' is not the id of a gate"),
        ("aprtui: {tolerance: {ulp: -1}}", "greater than or equal to 0, found '-1'"),
        ("aprtui: {tolerance: {ulp: .inf}}", "a number expected"),
        ("aprtui: {tolerance: {ulp: nan}}", "a number expected"),
        ("aprtui: 5", "aprtui: a mapping expected, found '5'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as refused:
        load(tmp_path, text + "\n")
    assert ", line " in refused.value.message


@pytest.mark.parametrize("key", ["converter_command", "command", "converter", "engine", "my-apr-program", "SHELL"])
def test_a_playbook_never_says_what_to_run(tmp_path, key):
    with pytest.raises(UsageError, match=rf"line 5, aprtui\.{key}: a playbook cannot say what to run; name the conv"):
        load(tmp_path, f"aprtui:\n  {key}: rm -rf .\n")


def test_settings_beside_a_locked_playbook(tmp_path):
    playbook = load(tmp_path, "", beside="# ours\naprtui:\n  outtype: q8_0\n  tolerance: {kld_factor: 2}\n")
    assert playbook.outtype("F-CONV-S-G")[0] == "q8_0"
    assert playbook.place("aprtui", "outtype") == (tmp_path / "tiny.aprtui.yaml", "line 3, aprtui.outtype")
    assert (playbook.settings.tolerance.kld_factor, playbook.complaints) == (2, ())


def test_settings_from_both_files_come_together(tmp_path):
    playbook = load(tmp_path, "aprtui: {levels: weights}\n", beside="aprtui: {outtype: f16}\n")
    assert (playbook.settings.levels, playbook.outtype("F-CONV-S-A")[0]) == ((Level.WEIGHTS,), "f16")


@pytest.mark.parametrize(
    ("own", "beside", "message"),
    [
        (
            "aprtui: {outtype: f16}",
            "aprtui: {outtype: f32}",
            r"tiny\.aprtui\.yaml, line 1, aprtui\.outtype: it stands",
        ),
        ("", "outtype: f32", "settings beside a playbook have one key, aprtui"),
        ("", "aprtui: {levels: [x]}", r"tiny\.aprtui\.yaml, line 1, aprtui\.levels: 'x' is not a level"),
        ("", "aprtui: {engine: x}", "a playbook cannot say what to run"),
        ("", "aprtui: [", "not valid YAML"),
    ],
)
def test_settings_beside_a_playbook_that_do_not_fit(tmp_path, own, beside, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, own + "\n", beside=beside)


def test_settings_alone_are_no_playbook(tmp_path):
    load(tmp_path, "", beside="aprtui: {outtype: f16}\n")
    with pytest.raises(UsageError, match="settings that belong beside a playbook"):
        load_playbook(tmp_path / "tiny.aprtui.yaml")
