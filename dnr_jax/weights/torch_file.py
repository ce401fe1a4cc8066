"""Reads a PyTorch state dict without running anything that is in it, and without PyTorch.

A .pth file is a pickle, a small program, that refers to raw arrays. Nothing here unpickles: the opcodes are read by
`pickletools.genops`, which only splits them, and the few that build containers and tensors are interpreted below.
Whatever else a file asks for is refused by name. Both containers are understood: the zip archive of PyTorch 1.6 and
later, and the older stream of pickles followed by raw storages.
"""

import math
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import ml_dtypes
import numpy as np

LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LARGEST_PICKLE = 1 << 24
_DTYPES: dict[str, Any] = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": ml_dtypes.bfloat16,
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ByteStorage": "u1",
}
_PLAIN = (
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Global(NamedTuple):
    """The name of something that the file would import: only ever compared."""

    name: str


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    length: int


class _Mark:
    """Where a container's items begin on the stack."""


class _Bounded:
    """What `genops` reads of a stream, refusing lengths that no honest pickle has before memory is asked for them."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > _LARGEST_PICKLE:
            raise ValueError(f"it claims a text of {size} bytes")
        return self._stream.read(size)

    def readline(self) -> bytes:
        return self._stream.readline(_LARGEST_PICKLE)


class StoredTensor(NamedTuple):
    """A tensor of the file: its shape, and its values on request."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def read_state_dict(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a state dict by name; their values are read from the file only when asked for.

    Raises:
      ValueError: no state dict of plain tensors, or a damaged file.
    """
    try:
        parsed, values = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        if not isinstance(parsed, dict):
            raise ValueError(f"it holds a {type(parsed).__name__}, not a state dict")
        tensors: dict[str, StoredTensor] = {}
        for name, item in parsed.items():
            if not (isinstance(name, str) and isinstance(item, tuple) and len(item) == 4):
                raise ValueError(f"{str(name)[:80]!r} is no tensor: give a plain state dict")
            tensors[name] = _tensor(item, values)
    except _DAMAGE as error:
        raise ValueError(f"{path} cannot be read as PyTorch weights: {error}") from None
    return tensors


_DAMAGE = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def _read_zip(path: Path) -> tuple[Any, Callable[[_Storage], bytes]]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(pickles) != 1 or archive.getinfo(pickles[0]).file_size > _LARGEST_PICKLE:
            raise ValueError("the archive holds no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its arrays are not little-endian")
        with archive.open(pickles[0]) as stream:
            parsed = _interpret(stream)

    def values(storage: _Storage) -> bytes:
        with zipfile.ZipFile(path) as archive:
            name = f"{folder}data/{storage.key}"
            entry = archive.getinfo(name)
            if not entry.file_size == entry.compress_size == storage.length * storage.dtype.itemsize:
                raise ValueError(f"storage {storage.key} has another size than the file says")
            return archive.read(name)

    return parsed, values


def _read_legacy(path: Path) -> tuple[Any, Callable[[_Storage], bytes]]:
    storages: dict[str, _Storage] = {}
    offsets: dict[str, int] = {}
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(len(LEGACY_HEAD)) != LEGACY_HEAD:
            raise ValueError("it does not begin as PyTorch's files do")
        _interpret(stream)  # The protocol version.
        system = _interpret(stream)
        if not system["little_endian"]:
            raise ValueError("its arrays are not little-endian")
        parsed = _interpret(stream, storages)
        for key in _interpret(stream):
            (count,) = struct.unpack("<q", stream.read(8))
            offsets[key] = stream.tell()
            if count != storages[key].length:
                raise ValueError(f"storage {key} has {count} values, not {storages[key].length}")
            stream.seek(count * storages[key].dtype.itemsize, 1)
            if stream.tell() > size:
                raise ValueError("it ends too early")

    def values(storage: _Storage) -> bytes:
        with path.open("rb") as stream:
            stream.seek(offsets[storage.key])
            return stream.read(storage.length * storage.dtype.itemsize)

    return parsed, values


def _tensor(item: tuple[Any, ...], values: Callable[[_Storage], bytes]) -> StoredTensor:
    storage, offset, shape, strides = item
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor without a storage, or of negative extent")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 not in shape and (last >= storage.length or math.prod(shape) > storage.length):
        raise ValueError(f"a tensor of shape {shape} reaches past its storage")

    def read() -> np.ndarray:
        try:
            flat = np.frombuffer(values(storage), storage.dtype)[offset:]
        except _DAMAGE as error:
            raise ValueError(f"its arrays are damaged: {error}") from None
        steps = [step * storage.dtype.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False).astype(np.float32)

    return StoredTensor(tuple(shape), read)


def _interpret(stream: BinaryIO | Any, storages: dict[str, _Storage] | None = None) -> Any:
    """The value that one pickle builds, of dicts, lists, tuples, numbers, texts and tensors alone."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(cast(Any, _Bounded(stream))):
        arg: Any = argument
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case name if name in _PLAIN:
                stack.append(arg)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case "MARK":
                stack.append(_Mark)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(_since_mark(stack)))
            case name if name in _TUPLES:
                stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
            case "DICT":
                stack.append(dict(_pairs(_since_mark(stack))))
            case "LIST":
                stack.append(_since_mark(stack))
            case "SETITEM":
                stack[-3:] = [_updated(stack[-3], stack[-2:])]
            case "SETITEMS":
                items = _since_mark(stack)
                stack[-1] = _updated(stack[-1], items)
            case "APPEND":
                stack[-2:] = [_extended(stack[-2], stack[-1:])]
            case "APPENDS":
                items = _since_mark(stack)
                stack[-1] = _extended(stack[-1], items)
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                memo[int(arg)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(memo[int(arg)])
            case "GLOBAL":
                stack.append(_Global(".".join(str(arg).split(" "))))
            case "STACK_GLOBAL":
                stack[-2:] = [_Global(f"{stack[-2]}.{stack[-1]}")]
            case "BINPERSID":
                storage = _storage(stack.pop())
                stack.append(storage)
                if storages is not None:
                    storages[storage.key] = storage
            case "REDUCE":
                arguments = stack.pop()
                stack.append(_call(stack.pop(), arguments))
            case "BUILD":
                # A state dict's attributes: module versions, which nobody here needs.
                stack.pop()
                if not isinstance(stack[-1], dict):
                    raise ValueError("it sets attributes of something other than a state dict: refused")
            case name:
                raise ValueError(f"it holds the opcode {name}: refused")
    raise EOFError("it ends too early")


def _since_mark(stack: list[Any]) -> list[Any]:
    place = max(i for i, item in enumerate(stack) if item is _Mark)
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


def _updated(container: Any, items: list[Any]) -> dict[Any, Any]:
    if not isinstance(container, dict):
        raise ValueError("it sets items of something other than a dict: refused")
    container.update(_pairs(items))
    return container


def _extended(container: Any, items: list[Any]) -> list[Any]:
    if not isinstance(container, list):
        raise ValueError("it appends to something other than a list: refused")
    container.extend(items)
    return container


def _storage(reference: Any) -> _Storage:
    kind, dtype, key, _, count, *view = reference
    if kind != "storage" or dtype.name not in _DTYPES or any(part is not None for part in view):
        raise ValueError(f"unknown storage {getattr(dtype, 'name', dtype)!r}: refused")
    if type(count) is not int or count < 0:
        raise ValueError(f"storage {key!r} of {count!r} values: refused")
    return _Storage(np.dtype(_DTYPES[dtype.name]), str(key), count)


def _call(function: Any, arguments: tuple[Any, ...]) -> Any:
    match function, arguments:
        case _Global("collections.OrderedDict"), ():
            return {}
        case _Global("collections.OrderedDict"), (list() as pairs,):
            return dict(pairs)
        case _Global("torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2"), (s, offset, size, step, *_):
            return s, offset, size, step
        case _Global("torch._utils._rebuild_parameter" | "torch.nn.parameter.Parameter"), (tensor, *_):
            return tensor
    raise ValueError(f"it asks to run {getattr(function, 'name', function)!r}: refused")
