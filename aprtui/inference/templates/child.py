"""The process that a chat template is rendered in: bounded memory, bounded output, nothing but Jinja's sandbox.

Follows transformers' `render_jinja_template`: the same options, extensions, filters and functions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_CHARACTERS = 1 << 20
_MEMORY = 1 << 30
_CPU_SECONDS = 20
_NOW = datetime(2024, 7, 26, 9, 41, 5)


class GenerationExtension(Extension):
    """`{% generation %}` marks the model's words for training; rendered, it is its content.

    As in transformers a block that is called, so that what is set inside is not known outside.
    """

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """A call of what stands between the tags."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_content"), [], [], body).set_lineno(line)

    def _content(self, caller: Macro) -> str:
        return str(caller())


class _Bounded(ImmutableSandboxedEnvironment):
    """Refuses the operators that make a long text or number of a short one."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - Jinja's types
        texts = [value for value in (left, right) if isinstance(value, str | list | tuple)]
        numbers = [value for value in (left, right) if isinstance(value, int)]
        length = max((len(text) * abs(number) for text in texts for number in numbers), default=0)
        if operator == "**" and len(numbers) == 2:
            length = left.bit_length() * abs(right)
        if length > MOST_CHARACTERS:
            raise SecurityError(f"operator {operator} makes too much of too little")
        return super().call_binop(context, operator, left, right)


def _environment() -> Environment:
    environment = _Bounded(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationExtension, LoopControlExtension])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _NOW.strftime
    return environment


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _limit() -> None:
    """Bounds on memory and processor time, where the system knows them."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _CPU_SECONDS)):
        resource.setrlimit(kind, (most, most))


def _rendered(environment: Environment, request: Mapping[str, Any], conversation: Mapping[str, Any]) -> dict[str, Any]:
    pieces, length = [], 0
    try:
        template = environment.from_string(request["template"])
        values = {
            "messages": conversation["messages"],
            "tools": conversation["tools"] or None,
            "documents": None,
            "add_generation_prompt": conversation["generate"],
            **conversation["options"],
            **request["special"],
        }
        for piece in template.generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > MOST_CHARACTERS:
                return {"text": None, "error": f"it renders more than {MOST_CHARACTERS} characters"}
    except MemoryError:
        return {"text": None, "error": "it takes more than a GiB of memory"}
    except Exception as error:
        # A template may raise any text, and what cannot be encoded cannot be reported.
        words = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()
        return {"text": None, "error": words[:300]}
    return {"text": "".join(pieces)}


def main(folder: Path) -> None:
    """Read `request.json`, write `answer.json`."""
    request = json.loads((folder / "request.json").read_bytes())
    _limit()
    environment = _environment()
    answers = [_rendered(environment, request, conversation) for conversation in request["conversations"]]
    (folder / "answer.json").write_text(json.dumps(answers), encoding="ascii")
