"""Writes playbooks: for `aprtui init`, and for those that come with aprtui."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aprtui.core.gates import FORMAT_NAMES

_TIMEOUTS_MS = {"tiny": 60_000, "small": 90_000, "medium": 120_000, "large": 180_000, "xlarge": 300_000}
_LONGEST_TIMEOUT_MS = 600_000
_PROMPTS = ("What is 2+2?", "def fibonacci(n):", "The capital of France is")
_PARAMETERS = {"tiny": 1e9, "small": 3e9, "medium": 6e9, "large": 12e9, "xlarge": 45e9}


@dataclass(frozen=True, slots=True)
class Draft:
    """A playbook to be written.

    Attributes:
        name: Its name.
        comment: Lines above everything else.
        description: One sentence.
        hf_repo: Repository of the model.
        local_path: Where the model lies; None to search the Hugging Face cache.
        size_category: apr-qa's class of the model by size.
        family: Architecture.
        expected: Numbers that the model must have, by key (`expected_hidden_dim` …).
    """

    name: str
    comment: tuple[str, ...]
    description: str
    hf_repo: str
    size_category: str
    family: str
    local_path: str | None = None
    expected: Mapping[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The file."""
        return "\n".join([*(f"# {line}" for line in self.comment), *self._lines()]) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"name: {_quoted(self.name)}"
        yield 'version: "1.0.0"'
        yield f"description: {_quoted(self.description)}"
        yield ""
        yield "model:"
        yield f"  hf_repo: {_quoted(self.hf_repo)}"
        if self.local_path is not None:
            yield f"  local_path: {_quoted(self.local_path)}"
        yield f"  formats: [{', '.join(FORMAT_NAMES.values())}]"
        yield f"  size_category: {self.size_category}"
        yield f"  family: {_quoted(self.family)}"
        yield from (f"  {key}: {number}" for key, number in self.expected.items())
        yield ""
        yield "test_matrix:"
        yield "  modalities: [run]"
        yield "  backends: [cpu]"
        yield "  scenario_count: 1"
        yield "  seed: 42"
        yield f"  timeout_ms: {_TIMEOUTS_MS.get(self.size_category, _LONGEST_TIMEOUT_MS)}"
        yield "  prompts:"
        yield from (f"    - {_quoted(prompt)}" for prompt in _PROMPTS)
        yield ""
        yield "failure_policy: collect_all"


def size_category(parameters: int) -> str:
    """apr-qa's class for a number of parameters, as its playbooks use the words."""
    return next((name for name, limit in _PARAMETERS.items() if parameters < limit), "huge")


def _quoted(text: str) -> str:
    """Text as YAML reads it back, whatever it holds; unlike JSON, YAML has no pairs of surrogates."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
