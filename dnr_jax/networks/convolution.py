"""The 3x3 convolution whose gradient stays fast inside compiled loops, and the precision of its inputs."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_LAYOUT = ("NHWC", "HWIO", "NHWC")

_BITS = {"tensorfloat32": (8, 10), "bfloat16": (8, 7)}
"""Bits of the exponent and of the mantissa (without the leading one) that an input keeps."""


def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "_ _ c d"], *, dilation: int = 1, precision: str = "float32"
) -> Float[Array, "b h w d"]:
    """A stride-1 convolution with SAME zero padding; sums in float32.

    The gradient with respect to `x` is written as a plain convolution with the flipped kernel: XLA's CPU backend has
    no fast path, inside a loop, for the transposed kernel layout that automatic differentiation asks for. Gradients
    are those of the convolution as if nothing were rounded, computed from inputs that are rounded likewise.

    Args:
      x: float32 [B, H, W, C].
      kernel: float32 [h, w, C, D], h and w odd.
      dilation: how far apart in `x` neighbouring places of the kernel are.
      precision: what `x` and `kernel` are rounded to (to nearest, halves to even): "float32" (not at all),
        "tensorfloat32" (11 significant bits) or "bfloat16" (8).

    Returns:
      float32 [B, H, W, D].
    """
    result = _rounded(x, kernel, dilation, precision)
    assert isinstance(result, jax.Array)
    return result


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _rounded(x: jax.Array, kernel: jax.Array, dilation: int, precision: str) -> jax.Array:
    return _convolve(round_to(x, precision), round_to(kernel, precision), dilation, precision)


def round_to(x: Float[Array, "*shape"], precision: str) -> Float[Array, "*shape"]:
    """`x`, float32, rounded to the nearest number of `precision`, halves to even."""
    return x if precision == "float32" else lax.reduce_precision(x, *_BITS[precision])


def _convolve(x: jax.Array, kernel: jax.Array, dilation: int, precision: str) -> jax.Array:
    """The convolution of inputs that are rounded already: `precision` only says which units can compute it exactly."""
    plain = partial(
        lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        rhs_dilation=(dilation, dilation),
        dimension_numbers=_LAYOUT,
    )
    if precision == "float32":
        return plain(x, kernel, precision=lax.Precision.HIGHEST)
    if precision == "tensorfloat32":
        # HIGH lets a GPU use its TF32 units; a CPU computes in float32 whatever is asked for.
        return plain(x, kernel, precision=lax.Precision.HIGH)

    def narrow(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return plain(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), preferred_element_type=jnp.float32)

    # A CPU has no fast convolution of bfloat16. Products of two of them are exact in float32.
    return lax.platform_dependent(x, kernel, cpu=partial(plain, precision=lax.Precision.HIGHEST), default=narrow)


def _forward(
    x: jax.Array, kernel: jax.Array, dilation: int, precision: str
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel, dilation=dilation, precision=precision), (x, kernel)


def _backward(
    dilation: int, precision: str, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    # The barrier keeps XLA from folding the transposition into the convolution's layout.
    flipped = lax.optimization_barrier(jnp.swapaxes(kernel[::-1, ::-1], 2, 3))
    rounded = round_to(x, precision)
    # Kernels are constants to the method; their gradient takes the same rounded inputs at full precision.
    to_kernel = jax.linear_transpose(lambda k: _convolve(rounded, k, dilation, "float32"), kernel)
    to_input = convolve(cotangent, flipped, dilation=dilation, precision=precision)
    return to_input, to_kernel(round_to(cotangent, precision))[0]


_rounded.defvjp(_forward, _backward)
