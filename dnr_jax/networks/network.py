"""A network ready to run: module, parameters and how its importance is to be computed. All networks look alike."""

import hashlib
from typing import Any, ClassVar

import flax.linen as nn
import flax.struct
import jax
import numpy as np
from jaxtyping import Array, Float

from dnr_jax.networks.taps import conv_layers_below, tap_depth
from dnr_jax.padding import Size


class FeatureModule(nn.Module):
    """What all feature networks have in common.

    Attributes:
      whole_from: the tap from which on neurons see the whole image; None where every neuron has its receptive field.
    """

    whole_from: ClassVar[str | None] = None


class Network(flax.struct.PyTreeNode):
    """A feature network as a pytree: parameters are leaves, everything else is static under jit.

    Attributes:
      params: {layer: {"kernel": float32 [3, 3, in, out], "bias": float32 [out]}}; without those of `constant_layers`.
      module: called as `module.apply({"params": params}, image, taps, size)`.
      constant_layers: layers that the module computes without parameters.
      importance_side: None where importance (Eq. 1) is the norm of the features themselves; else the longer side in
        pixels at which the network sees the whole photo for the importance of taps past block 1.
    """

    params: dict[str, dict[str, Any]]
    module: FeatureModule = flax.struct.field(pytree_node=False)
    constant_layers: tuple[str, ...] = flax.struct.field(pytree_node=False, default=())
    importance_side: int | None = flax.struct.field(pytree_node=False, default=None)

    def features(
        self,
        image: Float[Array, "*batch h w c"],
        taps: tuple[str, ...],
        *,
        size: Size | None = None,
        start: str | None = None,
    ) -> dict[str, Float[Array, "*batch _ _ _"]]:
        """The activations of `taps` for an RGB `image`, float32 [H, W, 3] in [0, 255]; see `VGG.__call__`.

        `start` is for a VGG alone.
        """
        where = () if start is None else (start,)
        activations = self.module.apply({"params": self.params}, image, taps, size, *where)
        assert isinstance(activations, dict)
        return activations

    def at_precision(self, precision: str) -> "Network":
        """The same network with its convolutions' inputs at `precision`; see `convolve`."""
        return self.replace(module=self.module.clone(precision=precision))

    def is_local(self, taps: tuple[str, ...]) -> bool:
        """Whether a window of the image is enough to evaluate `taps` at its middle."""
        whole = self.module.whole_from
        return whole is None or all(tap_depth(tap) < tap_depth(whole) for tap in taps)

    @property
    def sha256(self) -> str:
        """A SHA-256, in hexadecimal, of what the network computes: its parameters, architecture and preprocessing."""
        total = hashlib.sha256(f"{self.module!r} {self.importance_side}".encode())
        for path, array in jax.tree_util.tree_leaves_with_path(self.params):
            total.update(jax.tree_util.keystr(path).encode())
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def check_taps(self, taps: tuple[str, ...]) -> None:
        """Raises ValueError when a tap needs layers that the parameters do not hold."""
        held = {*self.params, *self.constant_layers}
        for tap in taps:
            missing = [layer for layer in conv_layers_below(tap) if layer not in held]
            if missing:
                served = [layer for layer in conv_layers_below("block5_pool") if layer in held]
                raise ValueError(
                    f"tap {tap} needs layers that these weights lack ({', '.join(missing)}): choose taps up to"
                    f" {served[-1] if served else 'nothing'}, or weights that hold them"
                )
