"""A layer's kernel and bias, read or made."""

import flax.linen as nn
from jaxtyping import Array, Float


def kernel_of(module: nn.Module, *shape: int) -> Float[Array, "..."]:
    """The kernel of a layer, of `shape`; He-normal where the network is being made.

    Raises:
      ValueError: the given kernel has another shape.
    """
    return _parameter(module, "kernel", nn.initializers.he_normal(), shape)


def bias_of(module: nn.Module, channels: int) -> Float[Array, "..."]:
    """The bias of a layer, [channels]; zeros where the network is being made.

    Raises:
      ValueError: the given bias has another shape.
    """
    return _parameter(module, "bias", nn.initializers.zeros_init(), (channels,))


def _parameter(
    module: nn.Module, name: str, initializer: nn.initializers.Initializer, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """`module.param`, which for a parameter that is given traces its initializer too, to compare the shapes: that was
    half of the time that tracing the salience network took."""
    if not module.has_variable("params", name):
        return module.param(name, initializer, shape)
    given = module.get_variable("params", name)
    if given.shape != shape:
        path = "/".join((*module.path, name))
        raise ValueError(f"{path} has shape {given.shape}, and the layer needs {shape}: give weights of this network")
    return given
