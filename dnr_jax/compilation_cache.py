"""The persistent compilation cache: programs that one process has compiled are loaded by the next one.

The commands call `enable`; importing the package changes nothing. The cache holds machine code, so it lies in a
directory of the user's own that nobody else can write, apart for every kind of processor that shares the home.
"""

import contextlib
import os
import stat
from pathlib import Path

from dnr_jax.processor import processor_name

LARGEST_BYTES = 2**30
"""How many bytes the default directory may hold; past this, the oldest files go until half of it is left."""


def enable(*, directory: str | os.PathLike[str] | None = None, programs: bool = False) -> Path | None:
    """Makes JAX keep compiled programs on disk for later processes.

    $JAX_COMPILATION_CACHE_DIR goes before the default, and $JAX_ENABLE_COMPILATION_CACHE=0 turns the cache off, as in
    any program that uses JAX.

    Args:
      directory: the folder that holds them; None for $JAX_COMPILATION_CACHE_DIR or else `default_directory()`.
      programs: keep the package's own programs so that a later process does not trace them either, which takes it
        longer than a photo; only for a process that changes no constant and no function of this package. Programs of
        networks that are not the package's are not kept so.

    Returns:
      The folder; None where the cache is off or no private folder can be made, so that every process compiles.
    """
    import jax

    from dnr_jax.programs import keep

    keep(None)
    if not jax.config.values["jax_enable_compilation_cache"]:
        return None
    named = directory or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    place = Path(named or default_directory())
    if not named:
        if not _make_private(place):
            return None
        prune(place, LARGEST_BYTES)
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    keep(place if programs else None)
    return place


def default_directory() -> Path:
    """`compiled/<processor>` under $DNR_JAX_CACHE or the user's cache directory."""
    from dnr_jax.weights.cache import cache_dir

    return cache_dir() / "compiled" / processor_name()


def prune(directory: Path, most: int) -> None:
    """Removes the oldest files of a folder until half of `most` bytes are left, where there are more than `most`.

    JAX's own eviction is not used: one entry that a killed process left incomplete makes it fail at every later write.
    """
    files = []
    for path in directory.glob("*"):
        with contextlib.suppress(OSError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= most:
        return
    for _, size, path in sorted(files):
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
        if total <= most // 2:
            return


def _make_private(directory: Path) -> bool:
    """Makes a directory that only the user can write; False where that cannot be had."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
