"""Finds, fetches, verifies, converts, loads and saves the weights of networks; the command is `dnr_jax.weights`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnr_jax.weights.cache import CACHED_VGG19 as CACHED_VGG19
    from dnr_jax.weights.cache import cache_dir as cache_dir
    from dnr_jax.weights.cache import find_vgg19 as find_vgg19
    from dnr_jax.weights.fetch import FetchError as FetchError
    from dnr_jax.weights.fetch import fetch_vgg19 as fetch_vgg19
    from dnr_jax.weights.files import Layers as Layers
    from dnr_jax.weights.files import Provenance as Provenance
    from dnr_jax.weights.files import layer_widths as layer_widths
    from dnr_jax.weights.files import save_weights as save_weights
    from dnr_jax.weights.layouts import Found as Found
    from dnr_jax.weights.layouts import read_layout as read_layout
    from dnr_jax.weights.load import Weights as Weights
    from dnr_jax.weights.load import load_weights as load_weights
    from dnr_jax.weights.load import read_weights as read_weights

_HOMES = {
    "CACHED_VGG19": "cache",
    "FetchError": "fetch",
    "Found": "layouts",
    "Layers": "files",
    "Provenance": "files",
    "Weights": "load",
    "cache_dir": "cache",
    "fetch_vgg19": "fetch",
    "find_vgg19": "cache",
    "layer_widths": "files",
    "load_weights": "load",
    "read_layout": "layouts",
    "read_weights": "load",
    "save_weights": "files",
}
__all__ = [
    "CACHED_VGG19",
    "FetchError",
    "Found",
    "Layers",
    "Provenance",
    "Weights",
    "cache_dir",
    "fetch_vgg19",
    "find_vgg19",
    "layer_widths",
    "load_weights",
    "read_layout",
    "read_weights",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    # Imported on first use, so that checking a command line does not wait for JAX.
    if name not in _HOMES:
        raise AttributeError(f"module 'dnr_jax.weights' has no attribute {name!r}")
    return getattr(import_module(f"dnr_jax.weights.{_HOMES[name]}"), name)
