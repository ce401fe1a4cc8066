"""Compiled programs kept whole on the disk: a later process loads them without tracing or lowering anything.

JAX's persistent cache saves compiling alone, because its key is the lowered program: tracing and lowering all that a
photo needs takes longer than the photo. Here the key is what a program is made from: the package's own code, the
options and shapes of the call, and the versions, settings and processor that the compiler works for. That holds only
where nobody changes the package's code as it runs, so the commands keep programs and an import does not.
"""

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import logging
import os
import pickle
import threading
import zlib
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import optax
from flax.version import __version__ as flax_version
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache
from jaxlib.version import __version__ as jaxlib_version

from dnr_jax import xla_faults
from dnr_jax.atomic import write_atomically
from dnr_jax.processor import processor_name
from dnr_jax.program_limit import note_program

_R = TypeVar("_R")
_loaded: dict[Hashable, Future[Callable[..., Any]]] = {}
_lock, _compiling, _was_on = threading.Lock(), 0, True
_folder: Path | None = None
_made_by: tuple[Any, ...] = ()
_OWN = {"builtins", "collections", "dnr_jax", "flax", "jax", "jaxlib", "numpy", "optax"}
"""Packages whose code the name of a kept program tells of."""


class _Kind(NamedTuple):
    """What a program is made from, besides what is the same for all programs of a process."""

    function: Callable[..., Any]
    tree: Any
    leaves: tuple[Hashable, ...]
    statics: tuple[tuple[str, Any], ...]
    settings: tuple[tuple[str, str], ...]


def keep(folder: Path | None) -> None:
    """Keeps the programs of this process in `folder` from now on; None: no longer.

    To be called before the package's files may change: what code the process runs is read from them here.
    """
    global _folder, _made_by
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        versions = (jax.__version__, jaxlib_version, flax_version, optax.__version__)
        _made_by = (_code(), versions, [_flags(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")])
    _folder = folder
    drop()


def _flags(name: str) -> tuple[str, bytes]:
    """The flags in a variable of the environment, and what is in the file where it names one."""
    flags = os.environ.get(name, "")
    with contextlib.suppress(OSError):
        if xla_faults.names_a_file(flags):
            return flags, Path(flags).read_bytes()
    return flags, b""


def drop() -> None:
    """Lets go of the programs that this process holds; they are loaded again when they are needed."""
    with _lock:
        _loaded.clear()


def program(
    *, static_argnames: tuple[str, ...] = (), donate_argnames: tuple[str, ...] = ()
) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Makes a decorator: `jax.jit` whose programs are kept on the disk, where `keep` was called.

    It is for pure functions of the package, without arguments that are positional only or of any number. Calls that are
    traced, or whose arrays lie on another device than the first, or on several, are `jax.jit`'s own.

    Args:
      static_argnames: arguments by whose values programs differ, as in `jax.jit`; their `repr` says all of them.
      donate_argnames: arguments whose buffers are consumed, as in `jax.jit`.
    """

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        jitted = jax.jit(function, static_argnames=static_argnames, donate_argnames=donate_argnames)
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            folder = _folder
            if folder is None or jax.config.values["jax_disable_jit"]:
                return jitted(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            arguments = bound.arguments
            traced = {name: value for name, value in arguments.items() if name not in static_argnames}
            leaves, tree = jax.tree.flatten(traced)
            if _is_tracing() or not _are_plain(leaves):
                return jitted(*args, **kwargs)
            statics = tuple((name, value) for name, value in arguments.items() if name in static_argnames)
            kind = _Kind(call, tree, tuple(_kind_of(leaf) for leaf in leaves), statics, _settings())
            return _get(folder, kind, lambda: jitted.lower(**arguments).compile())(**traced)

        # What jax.jit tells of its programs is asked of the function by tests.
        call._cache_size = jitted._cache_size  # type: ignore[attr-defined]
        return call

    return decorate


def run_together(*works: Callable[[], _R]) -> list[_R]:
    """Runs works that do not need each other and returns what they return, in order.

    Where programs are kept, each work has a thread of its own, so that what must be compiled is compiled at the same
    time: XLA takes one thread for a program. They run one after the other elsewhere, and where settings of JAX hold for
    the caller's thread alone.
    """
    if _folder is None or len(works) < 2 or _is_tracing():
        return [work() for work in works]
    with ThreadPoolExecutor(len(works)) as pool:
        if pool.submit(_settings).result() != _settings():
            return [work() for work in works]
        return [future.result() for future in [pool.submit(work) for work in works]]


def _is_tracing() -> bool:
    """Whether this call is part of a program that is being traced, where constants are traced too."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


def _are_plain(leaves: list[Any]) -> bool:
    """Whether arguments have values, on the first device."""
    first = {jax.local_devices()[0]}
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]
    return all(not isinstance(leaf, jax.core.Tracer) and leaf.devices() == first for leaf in arrays)


def _kind_of(leaf: Any) -> Hashable:
    """What of an argument a program depends on: shape and dtype, or the type of a Python number."""
    if isinstance(leaf, jax.Array):
        return leaf.shape, str(leaf.dtype), leaf.weak_type, leaf.committed
    return (leaf.shape, str(leaf.dtype)) if hasattr(leaf, "dtype") else type(leaf).__name__


def _get(folder: Path, kind: _Kind, compile_it: Callable[[], jax.stages.Compiled]) -> Callable[..., Any]:
    """The program of this process; the first thread that asks for it finds it, the others wait."""
    with _lock:
        future = _loaded.get(kind)
        first = future is None
        if future is None:
            future = _loaded[kind] = Future()
    if first:
        try:
            future.set_result(_find(folder, kind, compile_it))
        except BaseException as error:
            with _lock:
                _loaded.pop(kind, None)
            future.set_exception(error)
            raise
    return future.result()


def _find(folder: Path, kind: _Kind, compile_it: Callable[[], jax.stages.Compiled]) -> Callable[..., Any]:
    """The program from the disk; else compiled, and written there."""
    text = repr(tuple(kind)[1:])
    # An address says nothing to another process, nor does the name of a class whose code may have changed.
    is_known = " at 0x" not in text and _is_own(kind.tree) and _is_own(kind.statics)
    if not is_known or jax.config.values["jax_default_device"] is not None or not os.access(folder, os.W_OK):
        return compile_it()
    name = f"{kind.function.__module__}.{kind.function.__qualname__}"
    digest = hashlib.sha256(f"{_surroundings()} {name} {text}".encode()).hexdigest()
    path = folder / f"{name}-{digest}.program"
    with contextlib.suppress(Exception):  # Whatever is wrong with a file, the program can be compiled.
        serialized, out_tree = pickle.loads(zlib.decompress(path.read_bytes()))
        in_tree = jax.tree.structure(((), jax.tree.unflatten(kind.tree, [0] * kind.tree.num_leaves)))
        loaded = serialize_executable.deserialize_and_load(
            serialized, in_tree, out_tree, execution_devices=jax.local_devices()[:1]
        )
        note_program()
        return loaded
    compiled = _compile_anew(compile_it)
    try:
        serialized, _, out_tree = serialize_executable.serialize(compiled)
        write_atomically(path, zlib.compress(pickle.dumps((serialized, out_tree)), 3))
    except Exception as error:  # A device may not be able to; the next process compiles once more.
        logging.getLogger(__name__).info("%s is not kept: %s", name, error)
    return compiled


def _compile_anew(compile_it: Callable[[], jax.stages.Compiled]) -> jax.stages.Compiled:
    """Compiles without JAX's own cache, because XLA writes incompletely what it has loaded from there for a CPU."""
    _switch_cache(1)
    try:
        return compile_it()
    finally:
        _switch_cache(-1)


def _switch_cache(change: int) -> None:
    """Has JAX's own cache off for as long as any thread compiles past it, and then as it was."""
    global _compiling, _was_on
    with _lock:
        if not _compiling:
            _was_on = jax.config.values["jax_enable_compilation_cache"]
        _compiling += change
        jax.config.update("jax_enable_compilation_cache", _was_on and not _compiling)
        compilation_cache.reset_cache()  # JAX asks but once whether its cache is on.


def _is_own(value: Any) -> bool:
    """Whether the code of every class in static data, or in the structure of arguments, is known."""
    if isinstance(value, jax.tree_util.PyTreeDef):
        node = value.node_data()
        return node is None or (_is_own(node) and all(_is_own(child) for child in value.children()))
    known = value if isinstance(value, type) else type(value)
    parts: Iterable[Any] = ()
    if isinstance(value, tuple | list | set | frozenset):
        parts = value
    elif isinstance(value, dict):
        parts = value.values()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = (getattr(value, field.name, None) for field in dataclasses.fields(value))
    return known.__module__.split(".")[0] in _OWN and all(_is_own(part) for part in parts)


def _code() -> str:
    """A digest of the package's own code, as it lies on the disk."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _settings() -> tuple[tuple[str, str], ...]:
    """JAX's settings in this thread."""
    # Whether JAX's cache is on says nothing of what is compiled, and changes meanwhile.
    values = {**jax.config.values, "jax_enable_compilation_cache": None}
    return tuple(sorted((name, repr(value)) for name, value in values.items()))


def _surroundings() -> str:
    """All that a compiled program depends on besides its function, arguments and settings."""
    device = jax.local_devices()[0]
    where = (device.platform, device.device_kind, device.id, device.client.platform_version, processor_name())
    return repr((_made_by, where))
