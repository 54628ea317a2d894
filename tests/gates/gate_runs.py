"""Runs that gates are shown on: good ones, ones with a fault in a product or in the model, ones that cannot check."""

import json
import shutil
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine_runs import run_in
from faulty_converter import Faulty
from fixture_files import FIXTURES

import aprtui
from aprtui.core.outcomes import Level
from aprtui.core.scenarios import EngineName
from aprtui.engine.selection import Selection
from aprtui.faults import FAULTS, inject
from aprtui.playbook import load_playbook

MODEL = FIXTURES / "qwen2-tiny/hf"
Q8_0 = FIXTURES / "qwen2-tiny/gguf/Q8_0.gguf"
DEMO = Path(aprtui.__file__).parent / "demo/model/qwen2-demo"
_APR = """
import json, os, sys
if "--version" in sys.argv:
    sys.exit(print("apr 1"))
prompt, backend = sys.argv[sys.argv.index("--prompt") + 1], "gpu" if "--gpu" in sys.argv else "cpu"
def say(text, tokens=7):
    ids = list(range(len(text)))[:8]
    print(json.dumps({"text": text, "tokens": ids, "prompt_tokens": tokens, "backend": {"ran": backend}}))
"""
"""What every stand-in for `apr` begins with."""
ALL = ("safetensors", "gguf", "apr")
ONLY_GGUF, ONLY_APR = ("safetensors", "gguf"), ("safetensors", "apr")
ONLY_SAFETENSORS = ("safetensors",)
EMPTY = "no tensors"
"""Instead of the code of a fault: a checkpoint with a header and nothing in it."""
ZEROS = "zeros"
"""Instead of the code of a fault: a file of nothing but zeros."""


@dataclass(frozen=True)
class Setup:
    """One run.

    Attributes:
        faults: As `Faulty` takes them; None for no converter at all.
        gates: Patterns of gates; empty for all.
        formats: Of the playbook.
        outtype: Output types by pair.
        expected: What the playbook expects of the model, as it spells it.
        has_source: Whether pairs start from a quantised GGUF that was given.
        model_fault: Code of a fault in the model, `EMPTY` or `ZEROS`; empty where it is good.
        without: Files of the model that are missing.
        config: Keys of config.json with other values; None for those that are missing.
        tensors: Patterns of tensors to compare.
        levels: Levels to check; empty for those that run no model.
        is_blocked: Whether a file lies where products should go.
        scenarios: Keys of the playbook that ask for scenarios; the model is the demo's, which knows some answers.
        engines: Engines that run them.
        apr: What the command `apr` does, as Python; empty where there is none.
    """

    faults: Mapping[str, str] | None = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    formats: tuple[str, ...] = ALL
    outtype: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    has_source: bool = False
    model_fault: str = ""
    without: tuple[str, ...] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    tensors: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    is_blocked: bool = False
    scenarios: Mapping[str, object] = field(default_factory=dict)
    engines: tuple[EngineName, ...] = ()
    apr: str = ""

    def run(self, place):
        """Exit code, and entries by gate."""
        path = place / "test.playbook.yaml"
        model = {"hf_repo": "org/qwen2-tiny", "formats": list(self.formats), **self.expected}
        # YAML holds JSON.
        path.write_text(
            json.dumps(
                {
                    "name": "test",
                    "version": "1.0.0",
                    "model": model,
                    "aprtui": {"outtype": {**self.outtype}},
                    **self.scenarios,
                }
            )
        )
        scratch = place / "scratch" if self.is_blocked else None
        if scratch is not None:
            scratch.write_text("no directory")
        code, told = run_in(
            place / "run",
            load_playbook(path),
            self._model(place),
            None if self.faults is None else Faulty(self.faults),
            selection=Selection(self.gates, self.tensors, levels=self.levels, engines=self.engines),
            apr=self._apr(place),
            sources=(Q8_0,) if self.has_source else (),
            scratch=scratch,
        )
        return code, told.entries

    def _apr(self, place):
        program = place / "apr"
        if self.apr:
            program.write_text(f"#!{sys.executable}\n{_APR}{self.apr}\n", encoding="utf-8")
            program.chmod(0o755)
        return str(program)

    def _model(self, place):
        if self.scenarios and not self.without:
            return DEMO
        if self.scenarios:
            names = {path.name for path in DEMO.iterdir()}.difference(self.without)
            (place / "model").mkdir()
            for name in names:
                shutil.copyfile(DEMO / name, place / "model" / name)
            return place / "model"
        if not (self.model_fault or self.config or self.without):
            return MODEL
        model = place / "model"
        if self.model_fault in FAULTS:
            inject(FAULTS[self.model_fault], MODEL, model)
        else:
            shutil.copytree(MODEL, model)
        config = json.loads((MODEL / "config.json").read_text(encoding="utf-8")) | self.config
        stated = {key: value for key, value in config.items() if value is not None}
        _write(model / "config.json", json.dumps(stated).encode())
        header = b"{}      "
        contents = {EMPTY: struct.pack("<Q", len(header)) + header, ZEROS: bytes(4096)}
        if self.model_fault in contents:
            _write(model / "model.safetensors", contents[self.model_fault])
        for name in self.without:
            (model / name).unlink()
        return model


def _write(path, content):
    path.unlink(missing_ok=True)
    path.write_bytes(content)
