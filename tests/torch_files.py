"""State dicts as PyTorch writes them, made without PyTorch: stubs stand for what it would import."""

import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np

from dnr_jax.weights.torch_file import LEGACY_HEAD

STORAGES: dict[Any, str] = {
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.int64): "LongStorage",
}


@contextlib.contextmanager
def stubs() -> Iterator[types.ModuleType]:
    """Modules `torch` and `torch._utils` whose functions and storage classes have PyTorch's names."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def named(module: types.ModuleType, name: str) -> None:
        thing = type(name, (), {"__module__": module.__name__, "__qualname__": name})
        setattr(module, name, thing)

    for name in STORAGES.values():
        named(torch, name)
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"):
        named(utils, name)
    torch._utils = utils  # pyright: ignore[reportAttributeAccessIssue]
    with mock.patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        yield torch


class Parameter:
    """An array that is written as a parameter."""

    def __init__(self, array: np.ndarray):
        self.array = array


def pickled(state: Any, *, protocol: int = 2, old: bool = False) -> tuple[bytes, dict]:
    """The pickle of a state dict of arrays, and the arrays by the keys under which it refers to them.

    Args:
      state: anything that holds arrays or parameters.
      protocol: of the pickle.
      old: refer to tensors as PyTorch's first versions did, without a flag for gradients and hooks.
    """
    arrays: dict[str, np.ndarray] = {}

    class Storage:
        def __init__(self, array: np.ndarray):
            self.array = array

    with stubs() as torch:

        class Pickler(pickle.Pickler):
            def persistent_id(self, obj: Any) -> Any:
                if not isinstance(obj, Storage):
                    return None
                key = next((key for key, array in arrays.items() if array is obj.array), str(len(arrays)))
                arrays[key] = obj.array
                kind = getattr(torch, STORAGES[obj.array.dtype])
                return ("storage", kind, key, "cuda:0" if old else "cpu", obj.array.size, *([None] if old else []))

            def reducer_override(self, obj: Any) -> Any:
                if isinstance(obj, Parameter):
                    return torch._utils._rebuild_parameter, (obj.array, True, OrderedDict())
                if not isinstance(obj, np.ndarray):
                    return NotImplemented
                base = obj if obj.base is None else obj.base
                offset = obj.__array_interface__["data"][0] - base.__array_interface__["data"][0]
                steps = tuple(step // obj.itemsize for step in obj.strides)
                args = (Storage(base), offset // obj.itemsize, obj.shape, steps)
                if old:
                    return torch._utils._rebuild_tensor, args
                return torch._utils._rebuild_tensor_v2, (*args, False, OrderedDict())

        buffer = io.BytesIO()
        Pickler(buffer, protocol).dump(state)
    return buffer.getvalue(), arrays


def archive(data: bytes, arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """The zip archive that PyTorch puts a pickle and its arrays into."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("archive/data.pkl", data)
        written.writestr("archive/byteorder", "little")
        for key, array in (arrays or {}).items():
            written.writestr(f"archive/data/{key}", array.tobytes())
        written.writestr("archive/version", "3\n")
    return file.getvalue()


def stream(data: bytes, arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """The stream of pickles and raw arrays that PyTorch wrote before 1.6."""
    arrays = arrays or {}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = [LEGACY_HEAD, pickle.dumps(1001, 2), pickle.dumps(system, 2), data, pickle.dumps(sorted(arrays), 2)]
    assert head[0] == pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    return b"".join(head + [struct.pack("<q", arrays[key].size) + arrays[key].tobytes() for key in sorted(arrays)])


def write_state(path: Path, state: Any, *, zipped: bool = True, **options: Any) -> None:
    """Writes a state dict of arrays; `options` are those of `pickled`."""
    path.write_bytes((archive if zipped else stream)(*pickled(state, **options)))
