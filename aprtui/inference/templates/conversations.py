"""Conversations that chat templates are compared on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
_CALL: dict[str, Any] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"place": "Oslo"}}}
    ],
}
_ANSWER = {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": '{"celsius": -3}'}
_CLOCK = {"type": "function", "function": {"name": "clock", "description": "The time", "parameters": {}}}
_TWO_CALLS = (
    {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            _CALL["tool_calls"][0],
            {"id": "call00002", "type": "function", "function": {"name": "clock", "arguments": {}}},
        ],
    },
    _ANSWER,
    {"role": "tool", "name": "clock", "tool_call_id": "call00002", "content": "12:00"},
    {"role": "assistant", "content": "-3 degrees at noon."},
)
_THOUGHT = {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\n4"}
# transformers gives gpt-oss the same thought under its other name (`_alias_reasoning_fields`).
_THOUGHT_APART = {
    "thinking": "Three and three.",
    "role": "assistant",
    "reasoning_content": "Three and three.",
    "content": "6",
}
_IN_PARTS = {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": " 2+2?"}]}
_DOCUMENTS = [{"title": "Sums", "text": "2+2 is 4."}]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation.

    Attributes:
        name: What it shows.
        messages: Turns, as transformers' `apply_chat_template` takes them.
        tools: Tools that are offered.
        generate: The model speaks next.
        options: More of what a template may ask for by name.
    """

    name: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    generate: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


CONVERSATIONS: tuple[Conversation, ...] = (
    Conversation("a question", (_USER,)),
    Conversation("a question, without the model's turn", (_USER,), generate=False),
    Conversation("a system prompt", (_SYSTEM, _USER)),
    Conversation("several turns", _TURNS),
    Conversation("several turns with a system prompt, ended", (_SYSTEM, *_TURNS[:-1]), generate=False),
    Conversation("tools that are offered", (_USER,), (_TOOL,)),
    Conversation("tools and a system prompt", (_SYSTEM, _USER), (_TOOL,)),
    Conversation("a tool that was called", (_USER, _CALL, _ANSWER), (_TOOL,)),
    Conversation("two tools that were called at once", (_SYSTEM, _USER, *_TWO_CALLS, _USER), (_TOOL, _CLOCK)),
    Conversation("thoughts", (_USER, _THOUGHT, _USER, _THOUGHT_APART), generate=False),
    Conversation("thoughts that are not wanted", (_USER,), options={"enable_thinking": False}),
    Conversation("documents", (_USER,), options={"documents": _DOCUMENTS}),
    Conversation("a question in parts", (_IN_PARTS,)),
)
