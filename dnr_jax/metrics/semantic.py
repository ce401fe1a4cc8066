"""The semantic score (Eq. 5): how much of a deep layer's activation outlives the retargeting."""

import hashlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dnr_jax.metrics.pairs import check_pair
from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import Level
from dnr_jax.networks.vgg import KERAS_PREPROCESSING, VGG19_WIDTHS
from dnr_jax.padding import traced_size
from dnr_jax.weights import Weights

SCORE_TAP = "block5_conv1"
"""The paper's layer for the score (Sec. 4.6)."""
TABLE_1 = {"CR": 68, "SCL": 68, "SV": 64, "SC": 68, "WARP": 65, "Best": 65, "DNR": 70}
"""The paper's means over RetargetMe in percent, of VGG19 as Keras has it."""
_CANVAS = 64
_KERAS_FILES = (
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
)
_FIRST_KERNEL_SHA256 = "4dfc08de3aa222ed819de4dce4adfa4d366e39ac165ccba188c00b1d48f0803d"
"""The digest of Keras's VGG19: its block1_conv1's kernel as float32, [3, 3, in, out] in memory order."""


def semantic_score(original: np.ndarray, retargeted: np.ndarray, weights: Weights, *, tap: str = SCORE_TAP) -> float:
    """Eq. 5: `||F(O)||_2 / ||F(I)||_2`, at full resolution.

    The score grows with the image's area: uniform activation on half the width scores sqrt(1/2). It says something
    about a pair of operators at one size, nothing about two sizes, and nothing about two networks: print it with
    `semantic_label`.

    Args:
      original: uint8 or float [H, W, 3], RGB in [0, 255], both sides at least the tap's stride.
      retargeted: the result, uint8 or float [H', W', 3] in [0, 255].
      weights: the network that measures, from `load_weights`.
      tap: F of Eq. 5.

    Returns:
      The ratio; not a number where the original has no activation at all.

    Raises:
      ValueError: unusable images, an unknown tap, or one that the weights do not hold.
    """
    stride = Level(tap).stride
    weights.network.check_taps((tap,))
    norms = []
    for image in check_pair(original, retargeted):
        if min(image.shape[:2]) < stride:
            size = f"{image.shape[1]}x{image.shape[0]}"
            raise ValueError(f"an image of {size} pixels is smaller than a neuron of {tap}: name a shallower tap")
        # Images of near sizes share one compilation: networks mask what lies past the valid size.
        padding = [(0, -n % _CANVAS) for n in image.shape[:2]]
        canvas = jnp.asarray(np.pad(image, (*padding, (0, 0))))
        norms.append(float(_norm(weights.network, canvas, traced_size(image.shape), tap)))
    return norms[1] / norms[0] if norms[0] > 0 else float("nan")


@partial(jax.jit, static_argnames=("tap",))
def _norm(network: Network, image: jax.Array, size: tuple[jax.Array, jax.Array], tap: str) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(network.features(image, (tap,), size=size)[tap])))


def semantic_label(weights: Weights, *, tap: str = SCORE_TAP) -> str:
    """What a score must be printed with: layer, weights, and whether the paper's Table 1 is of the same kind."""
    digest = weights.provenance.sha256
    name = f"{tap} of {weights.provenance.name}" + (f" {digest[:8]}" if digest else "")
    if is_papers_score(weights, tap=tap):
        return f"semantic score ({name}: VGG19 of Keras, as in the paper's Table 1)"
    return f"semantic score ({name}: not the paper's, not comparable with its Table 1)"


def is_papers_score(weights: Weights, *, tap: str = SCORE_TAP) -> bool:
    """Whether a score is of the paper's kind: block5_conv1 of VGG19's Keras weights, unrounded.

    They are known by their architecture, preprocessing, the name of the file that they come from (which is fetched
    under its published digest) and the numbers of their first kernel.
    """
    network, module = weights.network, weights.network.module
    if tap != SCORE_TAP or weights.provenance.source not in _KERAS_FILES:
        return False
    kind = (tuple(getattr(module, "widths", ())), getattr(module, "preprocessing", None))
    if kind != (tuple(VGG19_WIDTHS), KERAS_PREPROCESSING):
        return False
    kernel = np.ascontiguousarray(network.params["block1_conv1"]["kernel"], "<f4")
    return hashlib.sha256(kernel.tobytes()).hexdigest() == _FIRST_KERNEL_SHA256
