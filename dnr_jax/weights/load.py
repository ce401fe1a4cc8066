"""Loads networks ready to run: by name, from the cache (fetched where that is asked for), or from any file."""

import os
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp

from dnr_jax.networks.analytic import Embedded
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import CONV_LAYERS
from dnr_jax.networks.vgg import VGG
from dnr_jax.weights.cache import (
    CACHED_VGG19,
    cache_dir,
    find_vgg19,
    is_first_hint,
    is_offline,
    record_of,
)
from dnr_jax.weights.fetch import fetch_vgg19, say
from dnr_jax.weights.files import Provenance, layer_widths
from dnr_jax.weights.layouts import read_layout
from dnr_jax.weights.names import NAMES, NetworkChoice
from dnr_jax.weights.packaged import read_learned

EMBEDDED = "learned"
"""The name of the network that "embedded" stands for, one of those that ship with the package."""
ANALYTIC_IMPORTANCE_SIDE = 384
_ADVICE = "`python -m dnr_jax.weights fetch` gets it, `python -m dnr_jax.weights convert` takes a file you have"


class Weights(NamedTuple):
    """A network and where it comes from.

    Attributes:
      network: the network, ready to run.
      provenance: where its weights come from.

    Example:
      >>> load_weights("embedded").provenance.name
      'embedded'
    """

    network: Network
    provenance: Provenance


def load_weights(
    name: str,
    *,
    weights_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    quiet: bool = False,
) -> Weights:
    """Loads the network called `name`. Only "vgg19" may use the network connection.

    Args:
      name: "embedded" for the network that ships with the package, which is the "learned" one (`networks.learned`);
        "analytic" for the one that needs no training (`networks.analytic`); "vgg19" for the file at $DNR_JAX_WEIGHTS
        or, failing that, in the cache, fetched first where it is not there; "auto" for the same file where there is
        one, and else the embedded network; anything else is the path of a weights file, see `read_weights`.
      weights_dir: the directory where VGG19 is kept; None for $DNR_JAX_CACHE or the platform's cache directory.
      offline: whether fetching is forbidden; None for what $DNR_JAX_OFFLINE says.
      quiet: whether to leave out the hint of how to get VGG19. Without it, the first "auto" that finds no VGG19 prints
        one line on stderr, and an empty file `hint_shown` in the cache directory keeps later ones from printing it
        again; where that file cannot be written, they do.

    Raises:
      ValueError: the file is not what it should be; the message lists what is missing, extra or misshapen.
      FileNotFoundError: there is no such file, or it is VGG19's and fetching is forbidden.
      FetchError: VGG19 was asked for by name, is not there and could not be fetched.

    Example:
      >>> load_weights("embedded").network.importance_side
      384
    """
    if name == "embedded":
        found = load_weights(EMBEDDED)
        return found._replace(provenance=found.provenance._replace(name="embedded"))
    if name == "analytic":
        provenance = Provenance("analytic", "dnr_jax.networks.analytic", "", "as the package")
        return Weights(Network({}, Embedded(), CONV_LAYERS, ANALYTIC_IMPORTANCE_SIDE), provenance)
    if name == "learned":
        return Weights(*read_learned())
    if name not in NAMES:
        if not Path(name).is_file():
            raise FileNotFoundError(f"no weights file {name}: give a path that exists, or {', '.join(NAMES)}")
        return read_weights(Path(name))
    path = find_vgg19(weights_dir=weights_dir)
    if path is not None:
        _check_recorded(path)
        return read_weights(path)
    if name == "auto":
        if not quiet and is_first_hint(cache_dir(weights_dir=weights_dir)):
            say("using the embedded network; `python -m dnr_jax.weights fetch` gets VGG19, the paper's")
        return load_weights("embedded")
    if is_offline(offline=offline):
        missing = f"VGG19 is not at {cache_dir(weights_dir=weights_dir)} and the network is switched off"
        raise FileNotFoundError(f"{missing}: once with a network, {_ADVICE}")
    return read_weights(fetch_vgg19(weights_dir=weights_dir))


def load_chosen(choice: NetworkChoice) -> Weights:
    """Loads the network that a choice asks for; raises what `load_weights` raises."""
    return load_weights(choice.name, weights_dir=choice.weights_dir, offline=choice.offline, quiet=choice.quiet)


def _check_recorded(path: Path) -> None:
    """Raises ValueError where a cached file is not the one whose digest was recorded beside it."""
    if path.name == CACHED_VGG19 and not record_of(path)[1]:
        raise ValueError(f"{path} is not the file that was recorded when it was made: delete it and fetch it again")


def read_weights(path: Path) -> Weights:
    """Reads a weights file in any layout that `read_layout` knows, of VGG19's shape and any width.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file has no known layout, is damaged, or does not hold a VGG19-shaped network from its first layer
        on.
    """
    found = read_layout(path)
    try:
        widths = layer_widths(found.layers)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    params = {layer: {k: jnp.asarray(v) for k, v in arrays.items()} for layer, arrays in found.layers.items()}
    return Weights(Network(params, VGG(widths, found.preprocessing)), found.provenance)
