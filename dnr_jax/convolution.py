"""The 3x3 convolution whose gradient stays fast inside compiled loops."""

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")


@jax.custom_vjp
def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A stride-1 convolution with SAME zero padding in full float32 precision.

    The gradient with respect to `x` is written as a plain convolution with the flipped kernel: XLA's CPU backend has
    no fast path, inside a loop, for the transposed kernel layout that automatic differentiation asks for.

    Args:
      x: float32 [B, H, W, C].
      kernel: float32 [h, w, C, D], h and w odd.

    Returns:
      float32 [B, H, W, D].
    """
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=_LAYOUT, precision=lax.Precision.HIGHEST
    )


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    # The barrier keeps XLA from folding the transposition into the convolution's layout.
    flipped = lax.optimization_barrier(jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    to_kernel = jax.linear_transpose(
        lambda k: lax.conv_general_dilated(
            x, k, (1, 1), "SAME", dimension_numbers=_LAYOUT, precision=lax.Precision.HIGHEST
        ),
        kernel,
    )
    return convolve(cotangent, flipped), to_kernel(cotangent)[0]


convolve.defvjp(_forward, _backward)
