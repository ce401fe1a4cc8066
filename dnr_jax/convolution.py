"""The 3x3 convolution whose gradient stays fast inside compiled loops."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, kernel: jax.Array, dilation: int = 1) -> jax.Array:
    """A stride-1 convolution with SAME zero padding in full float32 precision.

    The gradient with respect to `x` is written as a plain convolution with the flipped kernel: XLA's CPU backend has
    no fast path, inside a loop, for the transposed kernel layout that automatic differentiation asks for.

    Args:
      x: float32 [B, H, W, C].
      kernel: float32 [h, w, C, D], h and w odd.
      dilation: how far apart in `x` neighbouring places of the kernel are.

    Returns:
      float32 [B, H, W, D].
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        "SAME",
        rhs_dilation=(dilation, dilation),
        dimension_numbers=_LAYOUT,
        precision=lax.Precision.HIGHEST,
    )


def _forward(x: jax.Array, kernel: jax.Array, dilation: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel, dilation), (x, kernel)


def _backward(
    dilation: int, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    # The barrier keeps XLA from folding the transposition into the convolution's layout.
    flipped = lax.optimization_barrier(jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    to_kernel = jax.linear_transpose(
        lambda k: lax.conv_general_dilated(
            x,
            k,
            (1, 1),
            "SAME",
            rhs_dilation=(dilation, dilation),
            dimension_numbers=_LAYOUT,
            precision=lax.Precision.HIGHEST,
        ),
        kernel,
    )
    return convolve(cotangent, flipped, dilation), to_kernel(cotangent)[0]


convolve.defvjp(_forward, _backward)
