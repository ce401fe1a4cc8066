"""Converts a weights file to the package's own format, into the cache with a record, and verifies such files."""

import hashlib
from pathlib import Path
from typing import Any

from dnr_jax.networks.taps import CONV_LAYERS
from dnr_jax.networks.vgg import VGG19_WIDTHS
from dnr_jax.weights import cache
from dnr_jax.weights.files import encode_weights, layer_widths, save_weights
from dnr_jax.weights.layouts import Found, read_layout
from dnr_jax.weights.registry import Source


def convert_file(source: Path, output: Path, *, store: str = "float32", any_shape: bool = False) -> str:
    """Converts a weights file to the package's own format.

    Args:
      source: the file to convert, in any layout that `read_layout` knows.
      output: the file to write.
      store: how to store the weights, "float32" or "bfloat16".
      any_shape: whether to take any VGG19-shaped network, even one that ends early, rather than VGG19 alone.

    Returns:
      What was found in the file, in words.

    Raises:
      ValueError: the network is not VGG19; the message lists what is missing, extra or misshapen.
      OSError: the file cannot be read or written.
    """
    found = _checked(source, None if any_shape else VGG19_WIDTHS)
    save_weights(output, found.layers, found.preprocessing, found.provenance, store=store)
    return _words(found, store)


def install(
    directory: Path,
    source: Path,
    *,
    store: str = "float32",
    any_shape: bool = False,
    widths: tuple[int, ...] = VGG19_WIDTHS,
    origin: Source | None = None,
) -> str:
    """Converts `source` into the cache and records its digest; the caller holds the cache's lock.

    Args:
      directory: the cache directory.
      source: the file to convert, in any layout that `read_layout` knows.
      store: how to store the weights, "float32" or "bfloat16".
      any_shape: whether layers of any width are taken, as in `convert_file`.
      widths: how many channels each of VGG19's blocks must have.
      origin: the source that the file was fetched from, whose later fetches its SHA-256 then binds; None for a file
        that was not fetched.

    Returns:
      What was found in the file, in words.

    Raises:
      ValueError: the network is not VGG19; the message lists what is missing, extra or misshapen.
      OSError: the cache directory cannot hold the file.
    """
    path = directory / cache.CACHED_VGG19
    before, _ = cache.record_of(path)
    found = _checked(source, None if any_shape else widths)
    provenance = found.provenance._replace(name="vgg19")
    data = encode_weights(found.layers, found.preprocessing, provenance, store=store)
    file = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "store": store}
    record = {**before, "file": file, "origin": {**provenance._asdict(), "layout": found.layout}}
    if origin is not None:
        digests = {"sha256": provenance.sha256, "bytes": source.stat().st_size, "url": origin.url}
        record["sources"] = {**before.get("sources", {}), origin.file: digests}
    cache.replace_weights(path, data, before, record)
    return _words(found, store)


def verify_file(path: Path) -> str:
    """Checks a weights file, and the record beside it where it is the cached one.

    Returns:
      What was checked, in words.

    Raises:
      ValueError: the file is not the one that was recorded, or holds no VGG19-shaped network.
    """
    found = read_layout(path)
    _checked_widths(path, found, None)
    words = _words(found, None)
    record, is_recorded = cache.record_of(path) if path.name == cache.CACHED_VGG19 else ({}, True)
    if "file" not in record:
        return f"{words}; sound, but nothing was recorded about it"
    remedy = "fetch again with --force"
    if not is_recorded:
        raise ValueError(f"{path} has changed since it was converted (SHA-256): {remedy}")
    source = found.provenance.source
    recorded: dict[str, Any] = record.get("sources", {}).get(source, {})
    if recorded and recorded.get("sha256") != found.provenance.sha256:
        raise ValueError(f"{path} comes from another {source} than the first fetch recorded (SHA-256): {remedy}")
    origin = f"its source {source}, SHA-256 {found.provenance.sha256}"
    return f"{words}; digest as recorded; {origin}" + (", as at the first fetch" if recorded else "")


def _checked(source: Path, widths: tuple[int, ...] | None) -> Found:
    """Reads a weights file, and checks its shape as `layer_widths` does."""
    found = read_layout(source)
    _checked_widths(source, found, widths)
    return found


def _checked_widths(path: Path, found: Found, widths: tuple[int, ...] | None) -> None:
    """Raises ValueError, with the file's name and layout, for a network of another shape."""
    try:
        layer_widths(found.layers, demanded=widths)
    except ValueError as error:
        raise ValueError(f"{path.name} ({found.layout}): {error}") from None


def _words(found: Found, store: str | None) -> str:
    """What was found in a file, for the person at the terminal."""
    missing = [layer for layer in CONV_LAYERS if layer not in found.layers]
    order, scale = found.preprocessing.order.upper(), "0..1" if found.preprocessing.scale < 1 else "0..255"
    parts = [f"{found.layout}, {len(found.layers)} convolutions", f"preprocessing {order} {scale}"]
    if missing:
        parts.append(f"without {', '.join(missing)}")
    if store:
        parts.append(f"stored as {store}")
    return "; ".join(parts)
