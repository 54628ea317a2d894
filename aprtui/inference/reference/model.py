"""A transformers model whose weights are read while it runs: one layer is in memory at a time, or all of them stay.

transformers' own classes compute everything; here is no layer of any architecture. Only the code that is installed
runs: nothing comes from the network or from beside the model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as transformers_logging

from aprtui.core.errors import AprtuiError
from aprtui.inference.errors import CannotRunError, NotAModelError
from aprtui.inference.machine import return_memory
from aprtui.inference.reference.checkpoint import Checkpoint
from aprtui.inference.reference.weights import read_into, sources_of

transformers_logging.set_verbosity_error()  # Its warnings on a stranger's configuration are metadata's findings.

_SHOWN = 3
_LAYERS = ("num_hidden_layers", "n_layer")
Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Runtime:
    """How models are run.

    Attributes:
        device: "cpu", "cuda" or "cuda:1".
        attention: transformers' name of the attention code: "sdpa" or "eager".
    """

    device: str = "cpu"
    attention: str = "sdpa"

    @property
    def words(self) -> str:
        """For the evidence."""
        if self.device == "cpu":
            where = f"cpu ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads)"
        else:
            where = f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
        return f"{versions}, float32 on {where}, {self.attention} attention"


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of the model whose weights are loaded together: a layer, an embedding, the last norm, the head.

    Attributes:
        name: Name of the module.
        module: The module.
        nbytes: Bytes of its weights in float32.
    """

    name: str
    module: torch.nn.Module
    nbytes: int


class Observer(Protocol):
    """Sees a unit run."""

    def run(self, unit: Unit, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Run a unit whose weights are loaded, and give what it gives."""
        ...


class ReferenceModel:
    """A model in transformers.

    Args:
        checkpoint: Configuration and weights.
        runtime: Where and how it runs.

    Raises:
        CannotRunError: transformers does not know the architecture.
        NotAModelError: Tensors are missing, or have other shapes than the metadata says.
    """

    def __init__(self, checkpoint: Checkpoint, runtime: Runtime) -> None:
        self.checkpoint = checkpoint
        self.runtime = runtime
        self._resident = False
        self._loaded: set[str] = set()
        self._observer: Observer | None = None
        self._output_class: Any = None
        self._model = _instantiate(checkpoint, runtime)
        self._sources = self._checked_sources()
        self.units = tuple(self._units())
        for unit in self.units:
            unit.module.forward = partial(self._run, unit, unit.module.forward)

    @property
    def attention(self) -> str:
        """The attention code that runs; some architectures have one only."""
        return str(self._model.config._attn_implementation)

    @property
    def base(self) -> torch.nn.Module:
        """The model without its head."""
        base: torch.nn.Module = getattr(self._model, self._model.base_model_prefix)
        return base

    @property
    def layers(self) -> tuple[torch.nn.Module, ...]:
        """The decoder's layers in order."""
        lists = [list(child) for child in self.base.children() if isinstance(child, torch.nn.ModuleList)]
        if not lists:
            raise CannotRunError("transformers' class for this architecture has no list of layers")
        return tuple(sorted(lists, key=len)[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of all weights in float32."""
        return sum(unit.nbytes for unit in self.units)

    @property
    def largest_unit(self) -> int:
        """Bytes of the largest unit in float32."""
        return max(unit.nbytes for unit in self.units)

    @torch.inference_mode()
    def hidden(self, ids: torch.Tensor, observer: Observer | None = None) -> torch.Tensor:
        """The last hidden states, float32 [sequences, positions, hidden], behind the last norm.

        Args:
            ids: int64 [sequences, positions]; shorter sequences are filled up at their end, which changes nothing in
                front of it.
            observer: Sees every unit run.
        """
        self._observer = observer
        self._place_buffers()
        try:
            with _as_its_own_fault(self.checkpoint.path):
                output = self.base(input_ids=ids.to(self.runtime.device), use_cache=False)
        finally:
            self._observer = None
        self._output_class = type(output)
        last: torch.Tensor = output.last_hidden_state
        return last

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of hidden states that `hidden` gave: float32 [positions, tokens] for [positions, hidden].

        The class's own forward pass makes them, with the rest of the model replaced by its result.
        """
        prefix = self._model.base_model_prefix
        base = self.base
        setattr(self._model, prefix, _Finished(self._output_class(last_hidden_state=hidden[None])))
        try:
            ids = torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)
            with _as_its_own_fault(self.checkpoint.path):
                output: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits[0]
        finally:
            setattr(self._model, prefix, base)
        return output

    @torch.inference_mode()
    def generate(self, ids: Sequence[int], most: int, ends: frozenset[int]) -> list[tuple[int, float]]:
        """Greedy continuation: each id with the margin of its logit over the second best; it ends with its end."""
        self._place_buffers()
        found: list[tuple[int, float]] = []
        step = torch.tensor([list(ids)], device=self.runtime.device)
        past = None
        while len(found) < most:
            with _as_its_own_fault(self.checkpoint.path):
                output = self._model(input_ids=step, past_key_values=past, use_cache=True)
            past = output.past_key_values
            best = torch.topk(output.logits[0, -1].double(), 2)
            chosen = int(output.logits[0, -1].argmax())
            found.append((chosen, float(best.values[0] - best.values[1])))
            if chosen in ends:
                break
            step = torch.tensor([[chosen]], device=self.runtime.device)
        return found

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Weights that are read within stay until the end of the block."""
        before = self._resident
        self._resident = True
        try:
            yield
        finally:
            self._resident = before
            if not before:
                for unit in self.units:
                    self._unload(unit)
                return_memory()

    def load(self) -> None:
        """Read all weights, which stay where they are kept.

        Raises:
            CannotRunError: There is no room for them.
            NotAModelError: They cannot be read.
        """
        with _as_its_own_fault(self.checkpoint.path):
            for unit in self.units:
                self._load(unit)

    def _run(self, unit: Unit, call: Call, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        self._load(unit)
        try:
            if self._observer is None:
                return call(*args, **kwargs)
            return self._observer.run(unit, call, args, kwargs)
        finally:
            if not self._resident:
                self._unload(unit)
                return_memory()

    def _place_buffers(self) -> None:
        """Buffers are computed, not stored. They go to the device with the first run: before, room is not sure."""
        for module in self._model.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = buffer.to(self.runtime.device)

    def _units(self) -> Iterator[Unit]:
        layers = {id(layer) for layer in self.layers}
        inside: set[str] = set()
        for name, module in self._model.named_modules():
            if any(name.startswith(f"{layer}.") for layer in inside):
                continue
            own = id(module) in layers
            if own or any(True for _ in module.parameters(recurse=False)):
                inside.add(name)
                size = sum(4 * parameter.numel() for parameter in module.parameters())
                yield Unit(name, module, size)

    def _checked_sources(self) -> dict[str, str]:
        """For each parameter the name under which the checkpoint has it: its own, or that of a tied one.

        Its own goes first: transformers ties no matrices that a checkpoint stores with different values.
        """
        names: dict[int, list[str]] = {}
        for name, parameter in self._model.named_parameters(remove_duplicate=False):
            names.setdefault(id(parameter), []).append(name)
        found, missing, wrong = {}, [], []
        for name, parameter in self._model.named_parameters(remove_duplicate=False):
            alike = names[id(parameter)]
            stored = next((each for each in (name, *alike) if sources_of(each, self.checkpoint.views)), None)
            if stored is None:
                missing.append(name)
                continue
            found[name] = stored
            views = sources_of(stored, self.checkpoint.views)
            single = len(views) == 1 and views[0].shape != tuple(parameter.shape)
            if single or sum(view.elements for view in views) != prod(parameter.shape):
                shape = list(views[0].shape) if len(views) == 1 else f"{len(views)} parts"
                wrong.append(f"{stored} is {shape}, not {list(parameter.shape)}")
        for what, items in (("lacks", missing), ("has other shapes than its metadata says:", wrong)):
            if items:
                more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
                raise NotAModelError(f"it {what} {', '.join(items[:_SHOWN])}{more}", file=self.checkpoint.path)
        return found

    def _load(self, unit: Unit) -> None:
        if unit.name in self._loaded:
            return
        for module_name, module in unit.module.named_modules(prefix=unit.name):
            for name, parameter in module.named_parameters(recurse=False):
                views = sources_of(self._sources[f"{module_name}.{name}"], self.checkpoint.views)
                values = torch.empty(parameter.shape, dtype=torch.float32)
                read_into(values, views)
                _set(module, name, values.to(self.runtime.device))
        self._loaded.add(unit.name)

    def _unload(self, unit: Unit) -> None:
        if unit.name not in self._loaded:
            return
        for module in unit.module.modules():
            for name, parameter in module.named_parameters(recurse=False):
                _set(module, name, torch.empty(parameter.shape, dtype=torch.float32, device="meta"))
        self._loaded.discard(unit.name)


@contextlib.contextmanager
def _as_its_own_fault(path: Path) -> Iterator[None]:
    """What goes wrong within is the fault of the model's files, except that memory runs out."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise CannotRunError(f"the device ran out of memory: {error}"[:300], file=path) from None
    except CannotRunError:
        raise
    except AprtuiError as error:
        raise NotAModelError(error.problem, file=path, place=error.place) from None
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        if "can't allocate memory" in str(error):
            # What torch's allocator on the CPU says.
            raise CannotRunError(f"the machine ran out of memory: {error}"[:300], file=path) from None
        # A configuration that contradicts itself shows only when the model runs.
        raise NotAModelError(f"it does not run: {type(error).__name__}: {error}"[:300], file=path) from None


class _Finished(torch.nn.Module):
    """Stands in for a model that has already run."""

    def __init__(self, output: Any) -> None:  # noqa: ANN401 - transformers has no types
        super().__init__()
        self._output = output

    def forward(self, *_args: Any, **_kwargs: Any) -> Any:  # noqa: ANN401
        """The result."""
        return self._output


def _set(module: torch.nn.Module, name: str, values: torch.Tensor) -> None:
    module._parameters[name] = torch.nn.Parameter(values, requires_grad=False)


def _instantiate(checkpoint: Checkpoint, runtime: Runtime) -> Any:  # noqa: ANN401 - transformers has no types
    kind = checkpoint.config["model_type"]
    if kind not in CONFIG_MAPPING:
        raise CannotRunError(f"transformers has no architecture {kind!r}", file=checkpoint.path)
    layers = max((stated for key in _LAYERS if isinstance(stated := checkpoint.config.get(key), int)), default=0)
    if layers > len(checkpoint.views):
        # Making them all first would take any time.
        problem = f"its metadata says {layers} layers, and it holds {len(checkpoint.views)} tensors"
        raise NotAModelError(problem, file=checkpoint.path)
    try:
        config = CONFIG_MAPPING[kind].from_dict({**checkpoint.config, "torch_dtype": "float32"})
        known = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        attention = runtime.attention if getattr(known, "_supports_sdpa", False) else "eager"
        with _without_memory():
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    except Exception as error:
        # A configuration from a stranger's file may make any class raise anything.
        problem = f"its metadata makes no model: {type(error).__name__}: {error}"[:300]
        raise NotAModelError(problem, file=checkpoint.path) from None
    return model.eval().requires_grad_(requires_grad=False)


@contextlib.contextmanager
def _without_memory() -> Iterator[None]:
    """Parameters that are made within take no memory; buffers are computed as always."""
    original = torch.nn.Module.register_parameter

    def register(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter | None) -> None:
        original(module, name, parameter)
        if parameter is not None and not parameter.is_meta:
            module._parameters[name] = torch.nn.Parameter(parameter.to("meta"), requires_grad=False)

    torch.nn.Module.register_parameter = register  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        torch.nn.Module.register_parameter = original  # type: ignore[method-assign]
