"""Conversations that chat templates are compared on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_USER = {"role": "user", "content": "What is 2+2?"}
_SYSTEM = {"role": "system", "content": "You are terse.\nAnswer in one line."}
_TURNS = (
    _USER,
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "  And 3+3?  "},
    {"role": "assistant", "content": "6"},
    {"role": "user", "content": "Thanks."},
)
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "A city"}},
            "required": ["place"],
        },
    },
}
_CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"place": "Oslo"}}}
    ],
}
_ANSWER = {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": '{"celsius": -3}'}


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation.

    Attributes:
        name: What it shows.
        messages: Turns, as transformers' `apply_chat_template` takes them.
        tools: Tools that are offered.
        generate: The model speaks next.
    """

    name: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    generate: bool = True


CONVERSATIONS: tuple[Conversation, ...] = (
    Conversation("a question", (_USER,)),
    Conversation("a question, without the model's turn", (_USER,), generate=False),
    Conversation("a system prompt", (_SYSTEM, _USER)),
    Conversation("several turns", _TURNS),
    Conversation("several turns with a system prompt, ended", (_SYSTEM, *_TURNS[:-1]), generate=False),
    Conversation("tools that are offered", (_USER,), (_TOOL,)),
    Conversation("tools and a system prompt", (_SYSTEM, _USER), (_TOOL,)),
    Conversation("a tool that was called", (_USER, _CALL, _ANSWER), (_TOOL,)),
)
