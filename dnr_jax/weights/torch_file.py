"""Reads a PyTorch state dict without PyTorch, and without running anything that the file names.

A .pth file is a pickle, a small program, that refers to raw arrays. It is looked at twice. First `pickletools.genops`,
which only splits a pickle into its opcodes, sees to it that there are none but those that build containers and tensors,
and no number that would ask for more memory than the file has bytes. Then `pickle.Unpickler` runs it with a
`find_class` that imports nothing: it knows a dozen names and gives an inert stand-in for each. Both containers are
understood: the zip archive of PyTorch 1.6 and later, and the older stream of pickles followed by raw storages.
"""

import io
import math
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import ml_dtypes
import numpy as np

LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LARGEST_PICKLE = 1 << 24
_MOST_TUPLES = 10_000
"""How many tuples and calls a pickle may hold. Python hashes tuples in tuples without looking at its stack, which ends
at about ten times as many; each tensor takes half a dozen."""
_DTYPES: dict[str, Any] = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": ml_dtypes.bfloat16,
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ByteStorage": "u1",
}
_DICT = "collections.OrderedDict"
_TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter")
_KNOWN = {*_DTYPES, _DICT, *_TENSORS, *_PARAMETERS}
_PUTS = ("BINPUT", "LONG_BINPUT", "PUT")
_OPCODES = {
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "DICT", "LIST"),
    *("SETITEM", "SETITEMS", "APPEND", "APPENDS", "MEMOIZE", "BINGET", "LONG_BINGET", "GET", *_PUTS),
    *("GLOBAL", "STACK_GLOBAL", "BINPERSID", "REDUCE", "BUILD"),
}


class _Global(NamedTuple):
    """A stand-in for something that the file would import: its name, and the little that calling it does here."""

    name: str

    def __call__(self, *arguments: Any) -> Any:
        match self.name, arguments:
            case name, () if name == _DICT:
                return OrderedDict()
            case name, (list() as pairs,) if name == _DICT:
                return OrderedDict(pairs)
            case name, (storage, offset, size, step, *_) if name in _TENSORS:
                return _Tensor(storage, offset, size, step)
            case name, (tensor, *_) if name in _PARAMETERS:
                return tensor
        raise ValueError(f"it asks to run {self.name!r}: refused")


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """An unpickler that builds containers, numbers, texts and tensors, and nothing else.

    Attributes:
      storages: the raw arrays that the file refers to, by key.
    """

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data), encoding="latin-1")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module_name: str, global_name: str) -> _Global:
        """Gives a stand-in for a name that PyTorch's own files use, and refuses any other; it imports nothing."""
        name = f"{module_name}.{global_name}"
        if name not in _KNOWN:
            raise ValueError(f"it asks for {name[:80]!r}: refused")
        return _Global(name)

    def persistent_load(self, pid: Any) -> _Storage:
        """Notes a reference to a raw array."""
        kind, dtype, key, _, count, *view = pid
        # No message shows a value: nested in itself often enough, a small one has a text that fills any memory.
        if kind != "storage" or not isinstance(dtype, _Global) or any(part is not None for part in view):
            raise ValueError("it refers to something other than an array: refused")
        if dtype.name not in _DTYPES or type(key) is not str or type(count) is not int or count < 0:
            raise ValueError(f"unknown storage {dtype.name!r}: refused")
        storage = _Storage(np.dtype(_DTYPES[dtype.name]), key, count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key[:80]!r} has two types or sizes: refused")
        return storage


class _Bounded:
    """A stream for `genops` that refuses lengths which no honest pickle has, before memory is asked for them."""

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
    """A tensor of a file: its shape, and a function that reads its values."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def read_state_dict(path: Path) -> dict[str, StoredTensor]:
    """Reads which tensors a state dict has, by name; their values are read from the file only when they are asked for.

    Raises:
      ValueError: the file is no state dict of plain tensors, or is damaged.
    """
    try:
        parsed, values = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        if not isinstance(parsed, dict):
            raise ValueError(f"it holds a {type(parsed).__name__}, not a state dict")
        tensors: dict[str, StoredTensor] = {}
        for name, item in dict.items(parsed):
            if not isinstance(name, str):
                raise ValueError(f"it names a tensor by a {type(name).__name__}: give a plain state dict")
            if not isinstance(item, _Tensor):
                raise ValueError(f"{name[:80]!r} is no tensor: give a plain state dict")
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
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)


def _read_zip(path: Path) -> tuple[Any, Callable[[_Storage], bytes]]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(pickles) != 1 or archive.getinfo(pickles[0]).file_size > _LARGEST_PICKLE:
            raise ValueError("the archive holds no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and (archive.getinfo(order).file_size != 6 or archive.read(order) != b"little"):
            raise ValueError("its arrays are not little-endian")
        parsed, _ = _unpickle(io.BytesIO(archive.read(pickles[0])))

    def values(storage: _Storage) -> bytes:
        with zipfile.ZipFile(path) as archive:
            name = f"{folder}data/{storage.key}"
            entry = archive.getinfo(name)
            if not entry.file_size == entry.compress_size == storage.length * storage.dtype.itemsize:
                raise ValueError(f"storage {storage.key} has another size than the file says")
            return archive.read(name)

    return parsed, values


def _read_legacy(path: Path) -> tuple[Any, Callable[[_Storage], bytes]]:
    offsets: dict[str, int] = {}
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(len(LEGACY_HEAD)) != LEGACY_HEAD:
            raise ValueError("it does not begin as PyTorch's files do")
        _unpickle(stream)  # The protocol version.
        system, _ = _unpickle(stream)
        if not system["little_endian"]:
            raise ValueError("its arrays are not little-endian")
        parsed, storages = _unpickle(stream)
        for key in _unpickle(stream)[0]:
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


def _tensor(item: _Tensor, values: Callable[[_Storage], bytes]) -> StoredTensor:
    storage, offset, shape, strides = item
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor without a storage, or of negative extent")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if 0 not in shape and (last >= storage.length or math.prod(shape) > storage.length):
        raise ValueError(f"a tensor of shape {shape} reaches past its storage")

    def read() -> np.ndarray:
        try:
            flat = np.frombuffer(values(storage), storage.dtype)
            if len(flat) != storage.length:  # Nothing below looks at where the values end.
                raise ValueError("it ends too early")
        except _DAMAGE as error:
            raise ValueError(f"its arrays are damaged: {error}") from None
        steps = [step * storage.dtype.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False).astype(np.float32)

    return StoredTensor(tuple(shape), read)


def _unpickle(stream: Any) -> tuple[Any, dict[str, _Storage]]:
    """Runs the pickle at a stream's position; gives the value that it builds, and the arrays that it refers to, by key.

    Raises:
      ValueError: the pickle has an opcode or a name that no state dict needs. A damaged one may raise other errors.
    """
    start, tuples = stream.tell(), 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(Any, _Bounded(stream)))):
        if opcode.name not in _OPCODES:
            raise ValueError(f"it holds the opcode {opcode.name}: refused")
        # The unpickler's memory of values is an array that grows to the largest number at once.
        if opcode.name in _PUTS and int(cast(int, argument)) > count:
            raise ValueError(f"it claims to have built {argument} values in {count} steps: refused")
        tuples += opcode.name.startswith("TUPLE") or opcode.name == "REDUCE"
        if tuples > _MOST_TUPLES:
            raise ValueError(f"it builds more than {_MOST_TUPLES} tuples: refused")
    length = stream.tell() - start
    stream.seek(start)
    unpickler = _Unpickler(stream.read(length))
    return unpickler.load(), unpickler.storages
