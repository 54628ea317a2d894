"""Files that pairs start from instead of ones that the converter makes: named by the user, or kept beside the model.

apr-qa keeps the formats of a model as BASE/safetensors, BASE/gguf and BASE/apr. Where BASE is the model, what lies in
the other folders are its sources; nothing else is ever taken for one unasked, because a file of the same name may be
anybody's conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aprtui.core.errors import AprtuiError, UsageError
from aprtui.core.gates import FORMAT_NAMES, FORMAT_TITLES, FormatLetter
from aprtui.formats.container import Format
from aprtui.formats.huggingface import find_model_files

_LETTERS = {
    Format.SAFETENSORS: FormatLetter.SAFETENSORS,
    Format.GGUF: FormatLetter.GGUF,
    Format.APR: FormatLetter.APR,
}


@dataclass(frozen=True, slots=True)
class GivenSource:
    """A source of pairs.

    Attributes:
        letter: Of its format, told by content.
        path: What to open.
        how: Given or found, in a phrase.
    """

    letter: FormatLetter
    path: Path
    how: str

    @classmethod
    def from_facts(cls, letter: str, path: str, how: str) -> GivenSource:
        """A source as a plan names it."""
        return cls(FormatLetter(letter), Path(path), how)


def find_sources(model: Path, named: Sequence[Path]) -> tuple[GivenSource, ...]:
    """The sources of a run besides its model.

    Args:
        model: What the run opens.
        named: Files that the user named.

    Raises:
        AprtuiError: A named file is no model.
        UsageError: Two of them have one format, or one has the model's.
    """
    own = _letter(model)
    sources: dict[FormatLetter, GivenSource] = {}
    for path in named:
        letter = _LETTERS[find_model_files(path).format]
        if letter is own:
            problem = f"it is {FORMAT_TITLES[letter]}, as the run's model is"
            raise UsageError(problem, file=path, todo="name the model with --model")
        if letter in sources:
            raise UsageError(f"{sources[letter].path} is {FORMAT_TITLES[letter]}, too", file=path, todo="name one")
        sources[letter] = GivenSource(letter, path, "given with --source")
    for letter, path in _beside(model):
        if letter is not own:
            sources.setdefault(letter, GivenSource(letter, path, f"found beside the model, in {path}"))
    return tuple(sources[letter] for letter in FormatLetter if letter in sources)


def _letter(model: Path) -> FormatLetter | None:
    try:
        return _LETTERS[find_model_files(model).format]
    except AprtuiError:
        return None  # Reading the model will say so.


def _beside(model: Path) -> list[tuple[FormatLetter, Path]]:
    if model.name not in FORMAT_NAMES.values() or not model.is_dir():
        return []
    found = []
    for letter, name in FORMAT_NAMES.items():
        folder = model.parent / name
        if folder == model or not folder.is_dir():
            continue
        try:
            if _LETTERS[find_model_files(folder).format] is letter:
                found.append((letter, folder))
        except AprtuiError:
            continue  # Nothing that could be a source.
    return found
