"""A converter that is somebody else's program: runs it, and trusts nothing but what it finds afterwards."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aprtui.convert.converter import ConverterIdentity
from aprtui.convert.errors import ConversionNotOfferedError, ConversionTimeoutError, ConversionVoidError
from aprtui.convert.workspace import Workspace, working_directory
from aprtui.core.errors import AprtuiError
from aprtui.formats.container import Format
from aprtui.formats.digest import file_digest
from aprtui.formats.huggingface import ModelFiles, find_model_files
from aprtui.formats.model import open_model
from aprtui.formats.output_types import OutputTypes
from aprtui.processes.run import CommandResult, run_command

_PRODUCTS = {Format.SAFETENSORS: "model.safetensors", Format.GGUF: "model.gguf", Format.APR: "model.apr"}
_ONE_AT_A_TIME = threading.Lock()

NOT_OFFERED = 77
"""Exit code of a program that has no such conversion: what automake's tests mean by it, skipped and not failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One conversion that a profile writes command lines for; all paths are absolute.

    Attributes:
        source: Files of the source.
        target: Format of the product.
        destination: The directory for the product.
        temporary: A directory for what lies between two commands.
        asked_for: The output type.
    """

    source: ModelFiles
    target: Format
    destination: Path
    temporary: Path
    asked_for: OutputTypes

    @property
    def product(self) -> Path:
        """The file that a converter is told to write."""
        return self.destination / _PRODUCTS[self.target]


class Profile(Protocol):
    """What is particular to one converter."""

    @property
    def name(self) -> str:
        """Its name in settings and on the command line."""
        ...

    @property
    def parallel_safe(self) -> bool:
        """Whether two conversions may run at the same time."""
        ...

    @property
    def time_limit(self) -> float:
        """Seconds for each command."""
        ...

    def identity(self) -> ConverterIdentity:
        """Who it is at this moment.

        Raises:
            AprtuiError: It is no longer there.
        """
        ...

    def not_offered(self, source: Format, target: Format, asked_for: OutputTypes) -> str | None:
        """Why there is no way from a format to another in this output type; None where there is."""
        ...

    def commands(self, request: Request) -> tuple[tuple[str, ...], ...]:
        """Argument lists to run one after another.

        Raises:
            AprtuiError: The source cannot be read, where the commands depend on what is in it.
        """
        ...


class CommandConverter:
    """Converts with the program of a profile.

    Args:
        profile: What is particular to the program.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    @property
    def identity(self) -> ConverterIdentity:
        """Who the program is at this moment."""
        return self._profile.identity()

    @property
    def parallel_safe(self) -> bool:
        """Whether two conversions may run at the same time; `convert` holds to it within one process."""
        return self._profile.parallel_safe

    def not_offered(self, source: Path, target: Format, asked_for: OutputTypes) -> str | None:
        """Why it has no way; None also for a source that is no model, which `convert` refuses with the reason."""
        try:
            return self._profile.not_offered(find_model_files(source).format, target, asked_for)
        except AprtuiError:
            return None

    def command(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> str:
        """The command lines of `convert`; a comment of the shell where the source allows none."""
        try:
            request = _request(source, target, destination, asked_for)
            return " && ".join(shlex.join(arguments) for arguments in self._profile.commands(request))
        except AprtuiError as error:
            return f"# no command: {' '.join(error.message.split())}"

    def convert(self, source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> Path:
        """Convert a model; see `Converter.convert`."""
        request = _request(source, target, destination, asked_for)
        reason = self._profile.not_offered(request.source.format, target, asked_for)
        if reason is not None:
            raise AprtuiError(reason)
        commands = self._profile.commands(request)
        digests, identity = _source_digests(request.source), self.identity
        with self._turn():
            workspace = Workspace.make(destination)
            results: list[CommandResult] = []
            try:
                for number, arguments in enumerate(commands, start=1):
                    results.append(self._run(arguments, workspace, number))
                    if results[-1].exit_code or results[-1].timed_out:
                        break
                strays = workspace.strays()
            finally:
                workspace.close(identity, results)
        _refuse_changed_source(digests)
        self._refuse_changed_converter(identity)
        self._refuse_failure(results[-1])
        return self._product(request, strays)

    def _turn(self) -> AbstractContextManager[object]:
        return nullcontext() if self.parallel_safe else _ONE_AT_A_TIME

    def _run(self, arguments: tuple[str, ...], workspace: Workspace, number: int) -> CommandResult:
        return run_command(arguments, workspace.place, time_limit=self._profile.time_limit, log=f"-{number}")

    def _refuse_changed_converter(self, before: ConverterIdentity) -> None:
        try:
            after = self.identity
        except AprtuiError as error:
            raise ConversionVoidError(
                f"the converter {before.name} is no longer what it was: {error.message}"
            ) from None
        if after != before:
            raise ConversionVoidError(
                f"the converter {before.name} changed while it ran (before {before.version}, {before.digest}; "
                f"after {after.version}, {after.digest})",
                file=before.path,
                todo="run again when it is built",
            )

    def _refuse_failure(self, result: CommandResult) -> None:
        if result.timed_out:
            limit = f"{self._profile.time_limit:g} s"
            line = result.stderr.error_line or result.stdout.error_line
            said = f"; its last line: {line}" if line else ""
            raise ConversionTimeoutError(f"{self._profile.name} was ended at its time limit of {limit}{said}")
        if result.exit_code == NOT_OFFERED:
            raise ConversionNotOfferedError(f"{self._profile.name} {result.ending}")
        if result.exit_code:
            raise AprtuiError(f"{self._profile.name} {result.ending}")

    def _product(self, request: Request, strays: str) -> Path:
        product, directory = request.product, request.destination
        if request.target is Format.SAFETENSORS:
            files = sorted(directory.glob("*.safetensors"))
            found: Path | None = directory if files else None
        else:
            files, found = [product], product
        links = [file for file in files if file.is_symlink()]
        if links:
            raise AprtuiError(f"{self._profile.name} wrote a link instead of a product", file=links[0])
        if product.is_dir() and request.target is not Format.SAFETENSORS:
            raise AprtuiError(f"{self._profile.name} wrote a directory instead of a file", file=product)
        if found is None or not all(file.is_file() for file in files):
            elsewhere = f"; it left in its working directory: {strays}" if strays else ""
            problem = f"{self._profile.name} ended with exit code 0 without a product{elsewhere}"
            raise AprtuiError(problem, file=product)
        return found


def _request(source: Path, target: Format, destination: Path, asked_for: OutputTypes) -> Request:
    """Paths become absolute, because the converter runs in a directory of its own; links in them stay."""
    files = find_model_files(source.absolute())
    return Request(files, target, destination.absolute(), working_directory(destination) / "tmp", asked_for)


def _source_digests(source: ModelFiles) -> Mapping[Path, str]:
    container = open_model(source.path).container
    files = dict.fromkeys((*container.files, source.primary, *container.companions.values()))
    return {file: file_digest(file) for file in files}


def _refuse_changed_source(digests: Mapping[Path, str]) -> None:
    for file, digest in digests.items():
        try:
            changed = file_digest(file) != digest
        except OSError:
            raise ConversionVoidError("the source was deleted during its conversion", file=file) from None
        if changed:
            raise ConversionVoidError("the source was changed during its conversion", file=file)
