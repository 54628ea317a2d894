"""The process that a chat template is rendered in: bounded memory, bounded output, nothing but Jinja's sandbox.

Follows transformers' `render_jinja_template`: the same options, extensions, filters and functions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_CHARACTERS = 1 << 20
_MEMORY = 1 << 30
_CPU_SECONDS = 20
_DATE = {"%d %b %Y": "26 Jul 2024", "%Y-%m-%d": "2024-07-26"}


class GenerationExtension(Extension):
    """`{% generation %}` marks the model's words for training; rendered, it is its content."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The nodes between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Bounded(ImmutableSandboxedEnvironment):
    """Refuses the operators that make a long text or number of a short one."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - Jinja's types
        texts = [value for value in (left, right) if isinstance(value, str | list | tuple)]
        numbers = [value for value in (left, right) if isinstance(value, int | float)]
        if operator == "**" or any(len(text) * abs(number) > MOST_CHARACTERS for text in texts for number in numbers):
            raise SecurityError(f"operator {operator} makes too much of too little")
        return super().call_binop(context, operator, left, right)


def _environment() -> Environment:
    environment = _Bounded(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationExtension, LoopControlExtension])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda pattern: _DATE.get(pattern, "2024-07-26")
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
        return {"text": None, "error": f"{type(error).__name__}: {error}"[:300]}
    return {"text": "".join(pieces)}


def main(folder: Path) -> None:
    """Read `request.json`, write `answer.json`."""
    request = json.loads((folder / "request.json").read_bytes())
    _limit()
    environment = _environment()
    answers = [_rendered(environment, request, conversation) for conversation in request["conversations"]]
    (folder / "answer.json").write_text(json.dumps(answers), encoding="ascii")
