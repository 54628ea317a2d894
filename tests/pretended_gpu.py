"""A CUDA device that is none: tensors say that they lie on it, their values lie in memory, and devices must not mix.

What a GPU would refuse, an operation on tensors of two devices, is refused here; what it would compute, the CPU
computes, so that results can be held to those of a run on the CPU. Torch's Python methods that ask the driver for the
current device before they reach the dispatcher are answered by the tensor itself.
"""

import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

_MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
_TAKES_INDICES_FROM_THE_CPU = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)


class OnGpu(torch.Tensor):
    """A tensor on the pretended device."""

    @staticmethod
    def __new__(cls, values, device):
        shape, strides = values.shape, values.stride()
        made = torch.Tensor._make_wrapper_subclass(cls, shape, strides=strides, dtype=values.dtype, device=device)
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})

    def __repr__(self):
        return f"OnGpu({self.values}, {self.device})"

    def __getitem__(self, index):
        return OnGpu(self.values[tree_map(_values, index)], self.device)

    def __float__(self):
        return float(self.values)

    def __int__(self):
        return int(self.values)

    def __bool__(self):
        return bool(self.values)

    def contiguous(self, memory_format=torch.contiguous_format):
        return OnGpu(self.values.contiguous(memory_format=memory_format), self.device)

    def tolist(self):
        return self.values.tolist()

    def numpy(self):
        raise TypeError("can't convert cuda device type tensor to numpy; use Tensor.cpu()")


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


def _is_gpu(value):
    return isinstance(value, torch.device) and value.type == "cuda"


def _values(value):
    if isinstance(value, OnGpu):
        return value.values
    return torch.device("cpu") if _is_gpu(value) else value


def _run(operation, args, kwargs):
    given = tree_flatten((args, kwargs))[0]
    on_gpu = [one for one in given if isinstance(one, OnGpu)]
    devices = {one.device for one in given if isinstance(one, torch.Tensor) and one.dim()}
    if on_gpu and operation not in (*_MOVES, *_TAKES_INDICES_FROM_THE_CPU) and len(devices) > 1:
        raise RuntimeError(f"{operation}: expected all tensors on the same device, found {devices}")
    result = operation(*tree_map(_values, args), **tree_map(_values, kwargs))
    named = [one for one in given if isinstance(one, torch.device)]
    device = named[0] if named else on_gpu[0].device if on_gpu else None
    if operation is torch.ops.aten.copy_.default:
        return args[0]
    if device is None or device.type != "cuda":
        return result
    known = {id(one.values): one for one in on_gpu}

    def wrapped(value):
        if not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else OnGpu(value, device)

    return tree_map(wrapped, result)


@contextlib.contextmanager
def pretended_gpu(monkeypatch, *, free=1 << 34):
    """Within, torch sees two CUDA devices; the list holds the devices whose free memory was asked for."""
    asked = []

    def memory(device):
        asked.append(str(device))
        return free, free

    for name, value in (
        ("is_available", lambda: True),
        ("device_count", lambda: 2),
        ("mem_get_info", memory),
        ("memory_reserved", lambda _: 0),
        ("memory_allocated", lambda _: 0),
        ("get_device_name", lambda _: "pretended"),
        ("_lazy_init", lambda: None),
    ):
        monkeypatch.setattr(torch.cuda, name, value)
    # torch.tensor(list, device=...) makes its values on the CPU and moves them then, past the dispatcher otherwise.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with _Dispatch():
            yield asked
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
