"""Capture and replay of a CUDA graph, emulated on a CPU: what a GPU would do wrong, or refuse, fails here too.

`emulated` stands in for `cuda_graph`: the call is warmed up three times, its operations are recorded, and a replay
repeats exactly these operations on the same tensors. Python does not run again, so numbers of the host are frozen, and
an input of another shape does not fit. What a capture on a GPU refuses is refused by name.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class CaptureError(RuntimeError):
    "What cannot be captured on a GPU."


def refuse(operation):
    "Raise `CaptureError` for an operation that has no place in a captured function."
    if operation is torch.ops.aten.lift_fresh.default:
        raise CaptureError("a constant is made on the host and copied to the device")
    if torch.Tag.nondeterministic_seeded in operation.tags:
        raise CaptureError(f"{operation} draws random numbers, which must be inputs")
    if {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(operation.tags):
        raise CaptureError(f"{operation} waits for the device")


class Recorder(TorchDispatchMode):
    "Operations as they run, each with its tensors."

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        refuse(operation)
        found = operation(*args, **(kwargs or {}))
        if not operation.is_view:
            self.operations.append((operation, args, kwargs or {}, found))
        return found

    @torch.no_grad()
    def replay(self):
        "The same operations on the same tensors."
        for operation, args, kwargs, found in self.operations:
            again = operation(*args, **kwargs)
            if operation._schema.is_mutable:
                continue
            for place, tensor in zip(tree_leaves(found), tree_leaves(again)):
                if isinstance(place, Tensor) and place.data_ptr() != tensor.data_ptr():
                    place.copy_(tensor)


def emulated(call: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    "What `cuda_graph` does, on a CPU."
    for _ in range(3):
        call()
    with Recorder() as recorder:
        found = call()
    return recorder.replay, found


class OnlyOn(TorchDispatchMode):
    "Refuses operations whose tensors are not all on one device, and float64, which Apple's devices lack."

    def __init__(self, device: str):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        refuse(operation)
        found = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs or {}, found)):
            if isinstance(tensor, Tensor) and tensor.device.type != self.device:
                raise CaptureError(f"{operation} has a tensor of {tensor.device}")
            if isinstance(tensor, Tensor) and tensor.dtype == torch.float64:
                raise CaptureError(f"{operation} has a tensor of float64")
        return found
