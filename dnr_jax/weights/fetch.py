"""Fetches VGG19 into the cache: tries sources in order, checks the file, converts it, and installs it whole."""

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from dnr_jax.weights import cache
from dnr_jax.weights.registry import Registry, Source, read_registry

_STAGING = ".fetching"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


class FetchError(OSError):
    """Raised where VGG19 could not be fetched; the message says why and what to do."""


def say(text: str) -> None:
    """Prints one line for the person at the terminal, on stderr."""
    print(f"weights: {text}", file=sys.stderr)


def fetch_vgg19(
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    store: str | None = None,
    source: str | None = None,
    force: bool = False,
) -> Path:
    """Makes sure that the cache holds VGG19, and fetches it where it does not; only one process at a time fetches.

    Args:
      weights_dir: the cache directory; None for $DNR_JAX_CACHE or the platform's cache directory.
      store: how the weights are stored, "float32" or "bfloat16"; weights that are cached otherwise are fetched again.
        None: either will do, and float32 is fetched.
      source: the name of the only source to use; weights that come from elsewhere are fetched again. None: all sources,
        in order.
      force: whether to fetch weights that are there already.

    Returns:
      The path of the converted weights.

    Raises:
      FetchError: no source served the file, or the cache cannot hold it. What was cached before is still there.
      ValueError: the registry or the record beside the weights is damaged, or there is no such source.
    """
    registry = read_registry()
    sources = registry.named(source)
    directory = cache.cache_dir(weights_dir=weights_dir)
    try:
        with cache.cache_lock(directory, say):
            path = directory / cache.CACHED_VGG19
            if path.is_file() and not force and _suits(path, store, sources if source else ()):
                return path
            _fetch_first(registry, sources, directory, store or "float32")
            return path
    except FetchError:
        raise
    except OSError as error:
        raise local_failure(error, directory) from None


def _fetch_first(registry: Registry, sources: Iterable[Source], directory: Path, store: str) -> None:
    """Installs the file of the first source that can serve it.

    Raises:
      FetchError: no source can.
    """
    from dnr_jax.weights.download import LIMITS, NoConnectionError, SourceError, download

    limits = LIMITS
    known = cache.record_of(directory / cache.CACHED_VGG19)[0].get("sources", {})
    staging = directory / _STAGING
    reasons, advice = [], ""
    try:
        for source in sources:
            # A process that was killed leaves its staging behind; the lock says that nobody is using it now.
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            size = f" ({source.size / 1e6:.0f} MB)" if source.size else ""
            start = time.monotonic()
            say(f"fetching VGG19{size} from {source.url}")
            try:
                file = download(source, staging, limits)
                _check_recorded(file, known.get(source.file))
                from dnr_jax.weights.install import install  # With JAX: a fetch that fails need not wait for it.

                found = install(directory, file, store=store, widths=registry.widths, origin=source)
            except (SourceError, ValueError) as error:
                reasons.append(f"{source.name}: {error}")
                if isinstance(error, NoConnectionError):
                    # Where nothing answers, further sources share what is left of the connect limit.
                    left = limits.connect - (time.monotonic() - start)
                    limits, advice = limits._replace(connect=max(left, 1.0)), ": check the network and HTTPS_PROXY"
                continue
            note = "; not the paper's weights: features differ, see weights/README.md" if "torchvision" in found else ""
            say(f"{source.name}: {found}{note}")
            return
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    raise FetchError("; ".join(reasons) + advice)


def _check_recorded(file: Path, recorded: dict[str, str] | None) -> None:
    """Raises ValueError for a file whose SHA-256 is not that of the first fetch, which binds all later ones."""
    if recorded is not None and cache.file_sha256(file) != recorded.get("sha256"):
        raise ValueError(
            f"served a file whose SHA-256 is not {recorded.get('sha256')}, which the first fetch recorded: discarded"
        )


def _suits(path: Path, store: str | None, sources: tuple[Source, ...]) -> bool:
    """Whether cached weights are stored as the caller asks, and come from one of the sources asked for."""
    if store is None and not sources:
        return True
    from dnr_jax.weights.files import read_metadata

    metadata = read_metadata(path)
    stored = store is None or metadata.get("store") == store
    return stored and (not sources or metadata.get("source") in [source.file for source in sources])


def local_failure(error: OSError, directory: Path) -> FetchError:
    """The error to raise where the cache directory cannot be written: what failed, and the remedy."""
    elsewhere = "choose another place with --weights_dir or DNR_JAX_CACHE"
    if error.errno in _FULL:
        return FetchError(
            f"no space left for {directory}: free some (VGG19 takes up to 700 MB on the way), or {elsewhere}"
        )
    if error.errno in _NOT_WRITABLE:
        return FetchError(f"the cache {directory} cannot be written ({error.strerror}): {elsewhere}")
    return FetchError(f"the cache {directory} failed ({error.strerror or error}): {elsewhere}")
