"""Chat templates as rendered: like transformers does, in a sandbox that hostile templates do not leave."""

import json
import shutil

import gguf
import pytest
from fixture_files import FIXTURES
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from aprtui.compare.chat_template import compare_rendered
from aprtui.compare.comparison import Scope, compare_models
from aprtui.compare.token_ids import tokenizer_level
from aprtui.convert.builtin import BuiltinConverter
from aprtui.core.outcomes import Outcome, Severity
from aprtui.diagnose import diagnose
from aprtui.formats.container import Format
from aprtui.formats.model import open_model
from aprtui.formats.output_types import parse_output_type
from aprtui.inference.templates import CONVERSATIONS, render, special_texts

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
    assert "can only concatenate str" in ours[-1].error
    for conversation, rendering in zip(CONVERSATIONS[:-1], ours, strict=False):
        theirs, _ = render_jinja_template(
            [list(map(dict, conversation.messages))],
            tools=[dict(tool) for tool in conversation.tools] or None,
            chat_template=CHATML,
            add_generation_prompt=conversation.generate,
            bos_token="<s>",
            **conversation.options,
        )
        assert rendering.text == theirs[0], conversation.name
        assert rendering.error == ""


def test_dates_in_another_form_are_another_text(tmp_path):
    long, short = (f"{{{{ strftime_now('{form}') }}}}" for form in ("%A, %d %B %Y", "%d/%m/%y"))
    source, target = with_template(tmp_path / "a", long), with_template(tmp_path / "b", short)
    (finding,) = tokenizer_level(source, target).failures
    assert (finding.expected, finding.found) == ("'Friday, 26 July 2024'", "'26/07/24'")


@pytest.mark.parametrize(
    "template",
    [
        "{% set a = 1 %}{% generation %}{% set a = 2 %}{{ a }}{% endgeneration %}{{ a }}",
        "{% for m in messages %}{% generation %}{{ m.content }}{{ loop.index }}{% endgeneration %}{% endfor %}",
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
        "{% set n = namespace(a=0) %}{% for m in messages %}{% set n.a = n.a + 1 %}{% endfor %}{{ n.a }}",
        "{{ messages | tojson }}{{ tools | tojson(indent=1, sort_keys=true) }}{{ '<é>' | tojson(ensure_ascii=true) }}",
        "{{ dict(a=1) | items | list }}{{ dict.fromkeys('ab') }}",
        "{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(messages[0].role) }}",
        "{{ messages[0].content.split()[-1] ~ nothing }}{{ nothing.more }}",
        "{{ 2 * 3 + 7 // 2 }}{{ 2 ** 3 }}{{ '-' * 3 }}",
        "  {%- if tools %} {{- tools[0].function.name }}\n{% endif %}  x\n",
    ],
)
def test_every_part_of_the_language_is_that_of_transformers(template):
    for conversation, ours in zip(CONVERSATIONS, render(template, CONVERSATIONS, {}), strict=True):
        try:
            (theirs,), _ = render_jinja_template(
                [list(map(dict, conversation.messages))],
                tools=[dict(tool) for tool in conversation.tools] or None,
                chat_template=template,
                add_generation_prompt=conversation.generate,
                **conversation.options,
            )
        except Exception:
            theirs = None
        assert ours.text == theirs, ours.error


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


@pytest.mark.parametrize(
    ("part", "first"),
    [
        ("{% if messages[0].role == 'system' %}S{% endif %}", "a system prompt"),
        ("{% for m in messages if m.tool_calls %}{% if m.tool_calls[1] %}2{% endif %}{% endfor %}", "two tools that"),
        ("{% for m in messages %}{{ m.reasoning_content }}{% endfor %}", "thoughts"),
        ("{% for m in messages %}{{ (m.content | string).split('</think>')[1] }}{% endfor %}", "thoughts"),
        ("{% if enable_thinking is defined and not enable_thinking %}T{% endif %}", "thoughts that are not wanted"),
        ("{% for d in documents or [] %}{{ d.title }}{% endfor %}", "documents"),
        ("{% if messages[0].content is not string %}P{% endif %}", "a question in parts"),
    ],
)
def test_a_template_that_differs_in_one_path_alone_fails(part, first, tmp_path):
    plain = CHATML.replace("message['content']", "message['content'] | string")
    source, target = with_template(tmp_path / "a", plain), with_template(tmp_path / "b", plain + part)
    (finding,) = tokenizer_level(source, target).failures
    assert f"the first is: {first}" in finding.message


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
        ("{{ raise_exception('\\ud800') }}", r"TemplateError: \ud800"),
        ("{{ 2 ** 9999999 }}", "makes too much"),
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


TOOL_USE = CHATML.replace("<|im_start|>", "<|tool|>")
SEVERAL = [
    {"name": "default", "template": CHATML},
    {"name": "tool use", "template": TOOL_USE},
    {"name": "rag", "template": CHATML.replace("<|im_start|>", "<|rag|>")},
]


def converted(source, format_, place):
    place.mkdir()
    return BuiltinConverter().convert(source, format_, place, parse_output_type("lossless"))


@pytest.mark.parametrize("format_", list(Format), ids=str)
def test_templates_with_names_are_converted_too(format_, tmp_path):
    source = with_template(tmp_path / "a", SEVERAL)
    target = open_model(converted(source.path, format_, tmp_path / "b"))
    level = tokenizer_level(source, target)
    assert level.outcome is Outcome.CORROBORATED
    lacks = [part for part in level.not_checked if part.startswith("chat_template.")]
    if format_ is Format.APR:
        assert lacks == ["chat_template.tool_use: APR has no key for it", "chat_template.rag: APR has no key for it"]
    else:
        assert lacks == [] and dict(target.tokenizer.named_templates) == dict(source.tokenizer.named_templates)


def test_names_of_templates_are_those_that_ggufs_own_writer_gives_them(tmp_path):
    source = with_template(tmp_path / "a", SEVERAL)
    ours = open_model(converted(source.path, Format.GGUF, tmp_path / "b")).container.metadata
    writer = gguf.GGUFWriter(tmp_path / "theirs.gguf", "qwen3")
    writer.add_chat_template(SEVERAL)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    fields = gguf.GGUFReader(tmp_path / "theirs.gguf").fields
    theirs = {key: field.contents() for key, field in fields.items() if "chat_template" in key}
    mine = {key: value for key, value in ours.items() if "chat_template" in key}
    for templates in (theirs, mine):
        templates["tokenizer.chat_templates"] = sorted(templates["tokenizer.chat_templates"])
    assert mine == theirs and "tokenizer.chat_template.tool_use" in theirs


@pytest.mark.parametrize(
    ("change", "subject", "words"),
    [
        (lambda text: None, "chat_template.tool_use", "the target lacks chat_template.tool_use"),
        (lambda text: text.replace("<|tool|>", "<|t|>"), "chat_template.tool_use", "become another text"),
        (lambda text: "{# same #}" + text, None, "render"),
    ],
    ids=["lost", "altered", "other words for the same"],
)
def test_a_named_template_is_compared_like_the_default_one(change, subject, words, tmp_path):
    source = with_template(tmp_path / "a", SEVERAL)
    changed = change(TOOL_USE)
    kept = [one for one in SEVERAL if one["name"] != "tool use"]
    kept += [] if changed is None else [{"name": "tool use", "template": changed}]
    target = with_template(tmp_path / "b", kept)
    result = tokenizer_level(source, target)
    assert [one.subject for one in result.failures] == ([subject] if subject else [])
    assert any(words in one.message for one in result.findings if one.subject == "chat_template.tool_use")
    if subject:
        comparison = compare_models(source, target, Scope())
        causes = diagnose(source, target, comparison, Scope()).diagnosis
        code = "tokenizer.chat_template_lost" if changed is None else "tokenizer.chat_template_changed"
        assert [cause.code for cause in causes.causes] == [code] and causes.is_complete


def templates_in_files(folder, templates):
    """A model whose templates stand in files: the default one, and a folder with those that are named."""
    model = with_template(folder, None)
    for name, text in templates.items():
        path = folder / ("chat_template.jinja" if name == "default" else f"additional_chat_templates/{name}.jinja")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return open_model(model.path)


@pytest.mark.parametrize("format_", [Format.GGUF, Format.SAFETENSORS], ids=str)
def test_templates_in_a_folder_are_converted_and_compared(format_, tmp_path):
    source = templates_in_files(tmp_path / "a", {"default": CHATML, "tool_use": TOOL_USE})
    target = open_model(converted(source.path, format_, tmp_path / "b"))
    assert target.tokenizer.templates == {"default": CHATML, "tool_use": TOOL_USE}
    assert tokenizer_level(source, target).outcome is Outcome.CORROBORATED
    for name, templates in {"lost": {}, "altered": {"tool_use": CHATML}}.items():
        other = templates_in_files(tmp_path / name, {"default": CHATML, **templates})
        assert [one.subject for one in tokenizer_level(source, other).failures] == ["chat_template.tool_use"]


def test_of_several_ends_a_template_gets_the_one_that_the_tokenizer_names(tmp_path):
    """generation_config.json lists another end with a smaller id, as in chat models; GGUF keeps one."""
    source = with_template(tmp_path / "a", "{{ messages[0].content }}{{ eos_token }}")
    path = source.path / "generation_config.json"
    path.chmod(0o644)
    named = source.one_id("eos")
    path.write_text(json.dumps({"eos_token_id": [named, 5]}), encoding="utf-8")
    source = open_model(source.path)
    assert source.config.values["eos_token_id"] == (5, named)
    theirs = AutoTokenizer.from_pretrained(source.path)
    (rendering,) = render(source.tokenizer.chat_template, CONVERSATIONS[:1], special_texts(source))
    assert rendering.text == theirs.apply_chat_template(list(CONVERSATIONS[0].messages), tokenize=False)
    target = open_model(converted(source.path, Format.GGUF, tmp_path / "b"))
    assert tokenizer_level(source, target).outcome is Outcome.CORROBORATED
