"""Chat templates as rendered: like transformers does, in a sandbox that hostile templates do not leave."""

import json
import shutil

import pytest
from fixture_files import FIXTURES
from transformers.utils.chat_template_utils import render_jinja_template

from aprtui.compare.chat_template import compare_rendered
from aprtui.compare.token_ids import tokenizer_level
from aprtui.core.outcomes import Outcome, Severity
from aprtui.formats.model import open_model
from aprtui.inference.templates import CONVERSATIONS, render

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}"
    "{% if add_generation_prompt %}{{ bos_token }}<|im_start|>assistant\n{% endif %}"
)
LOOPING = (
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}"
)


def with_template(folder, template):
    shutil.copytree(FIXTURES / "qwen3-tiny/hf", folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = folder / "tokenizer_config.json"
    config.chmod(0o644)
    content = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(content | {"chat_template": template}), encoding="utf-8")
    return open_model(folder)


def test_rendering_is_that_of_transformers():
    ours = render(CHATML, CONVERSATIONS, {"bos_token": "<s>"})
    for conversation, rendering in zip(CONVERSATIONS, ours, strict=True):
        theirs, _ = render_jinja_template(
            [list(map(dict, conversation.messages))],
            tools=[dict(tool) for tool in conversation.tools] or None,
            chat_template=CHATML,
            add_generation_prompt=conversation.generate,
            bos_token="<s>",
        )
        assert rendering.text == theirs[0], conversation.name
        assert rendering.error == ""


def test_an_altered_template_fails_with_both_texts(tmp_path):
    source = with_template(tmp_path / "a", CHATML)
    target = with_template(tmp_path / "b", CHATML.replace("'<|im_end|>\n'", "'<|im_end|>'"))
    result = tokenizer_level(source, target)
    (finding,) = result.failures
    assert finding.subject == "chat_template"
    assert f"of {len(CONVERSATIONS)} conversations become another text" in finding.message
    assert "<|im_end|>\\n" in finding.expected and "<|im_end|>\\n" not in finding.found
    assert finding.place.startswith("character ")


def test_a_template_that_only_reads_differently_is_a_note(tmp_path):
    source = with_template(tmp_path / "a", CHATML)
    target = with_template(tmp_path / "b", CHATML.replace("message['role']", "message.role"))
    result = tokenizer_level(source, target)
    assert result.outcome is Outcome.CORROBORATED
    notes = [finding for finding in result.findings if finding.subject == "chat_template"]
    assert [(note.severity, "alike" in note.message) for note in notes] == [(Severity.NOTE, True)]


def test_another_tool_path_alone_fails(tmp_path):
    source = with_template(tmp_path / "a", CHATML)
    target = with_template(tmp_path / "b", CHATML.replace("indent=2", "indent=4"))
    (finding,) = compare_rendered(source, target).findings
    assert "the first is: tools that are offered" in finding.message


def test_equal_templates_are_not_rendered(tmp_path, monkeypatch):
    source, target = (with_template(tmp_path / name, CHATML) for name in "ab")
    monkeypatch.setattr("aprtui.compare.chat_template.render", lambda *_: pytest.fail("rendered"))
    verdict = compare_rendered(source, target)
    assert (verdict.findings, verdict.checked) == ((), len(CONVERSATIONS))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'a' * 999999999 }}", "makes too much"),
        ("{{ 9 ** 999999999 }}", "makes too much"),
        ("{% for i in range(99999) %}{{ 'x' * 100 }}{% endfor %}", "renders more than"),
        ("{{ '%9999999999d' | format(1) }}", ""),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{% include '/etc/passwd' %}", ""),
    ],
)
def test_a_hostile_template_renders_nothing(template, why):
    for rendering in render(template, CONVERSATIONS[:1], {}):
        assert rendering.text is None
        assert why in rendering.error
        assert rendering.error


def test_a_template_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr("aprtui.inference.templates.rendering.SECONDS", 1.0)
    (rendering,) = render(LOOPING, CONVERSATIONS[:1], {})
    assert (rendering.text, rendering.error) == (None, "it did not end in 1 s")


def test_a_source_that_renders_nothing_is_not_checked(tmp_path):
    source = with_template(tmp_path / "a", "{% if %}")
    target = with_template(tmp_path / "b", CHATML)
    verdict = compare_rendered(source, target)
    assert verdict.findings == ()
    assert verdict.not_checked[0].startswith("chat_template: the source's renders nothing")
