"""What a tokenizer consists of, whatever the files it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from aprtui.core.findings import Finding
from aprtui.core.outcomes import Level
from aprtui.formats.container import Format

# gemma 3 has 262 144 tokens; ids far beyond the largest vocabularies are damage.
MOST_TOKENS = 1 << 24

DEFAULT_TEMPLATE = "default"
"""What the chat template is called that has no name of its own."""


class TokenType(IntEnum):
    """GGUF's token types (`tokenizer.ggml.token_type`)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class TokenizerModel(StrEnum):
    """How text becomes tokens."""

    BPE = "byte-level BPE"
    SENTENCEPIECE = "sentencepiece"
    UNIGRAM = "unigram"
    WORDPIECE = "WordPiece"


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """How text is split before merging.

    Attributes:
        name: GGUF's name (`tokenizer.ggml.pre`); None where the structure in tokenizer.json is none that we know.
        fingerprint: A digest of the structure in tokenizer.json; None where only a name is stored.
    """

    name: str | None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """A tokenizer in GGUF's terms. None means that the file does not say.

    Attributes:
        format: The format it was read from.
        model: How text becomes tokens.
        vocabulary: Text by id; ids without a token are "[PADi]", as llama.cpp's converter writes them.
        merges: "a b" in order of rank.
        token_types: GGUF's type by id, `TokenType`.
        scores: Score by id (sentencepiece).
        special_ids: Id by kind: "pad", "unk", "sep", "cls", "mask", "eot", "eom"; bos and eos are metadata.
        add_bos: Whether a text starts with bos, with the default of the format's runtime filled in.
        add_eos: Whether a text ends with eos, likewise.
        space_prefix: Whether a text gets a space in front (sentencepiece, unigram), with the runtime's default filled
            in; None where nothing is said.
        replaces: Characters are replaced before texts are split (unigram), by a table that only the file's own
            tokenizer reads.
        pre_tokenizer: How text is split before merging.
        chat_template: Text of the default chat template.
        named_templates: Text of the other ones by name, letters and digits in it, "_" for all else, as in GGUF's keys.
        stub: Why the tokenizer counts as missing although there is a file.
        problems: What is wrong with the files themselves.
    """

    format: Format
    model: TokenizerModel | None = None
    vocabulary: Sequence[str] | None = None
    merges: Sequence[str] | None = None
    token_types: Sequence[int] | None = None
    scores: Sequence[float] | None = None
    special_ids: Mapping[str, int] = field(default_factory=dict)
    add_bos: bool | None = None
    add_eos: bool | None = None
    space_prefix: bool | None = None
    replaces: bool = False
    pre_tokenizer: PreTokenizer | None = None
    chat_template: str | None = None
    named_templates: Mapping[str, str] = field(default_factory=dict)
    stub: str | None = None
    problems: tuple[Finding, ...] = ()

    @property
    def templates(self) -> dict[str, str]:
        """Text of every chat template by name, the default one first, as "default"."""
        default = {} if self.chat_template is None else {DEFAULT_TEMPLATE: self.chat_template}
        return default | dict(self.named_templates)


def unused_name(token_id: int) -> str:
    """What llama.cpp's converter writes for an id without a token."""
    return f"[PAD{token_id}]"


def problem(subject: str, message: str, found: object = None, place: str | None = None) -> Finding:
    """A finding about a tokenizer's own files."""
    return Finding(Level.TOKENIZER, subject, message, found=None if found is None else repr(found)[:80], place=place)
