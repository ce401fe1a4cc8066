"""Kernels and biases of layers: made, read, and refused."""

from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnr_jax.networks.parameters import bias_of, kernel_of


class Layer(nn.Module):
    """A sum over channels."""

    channels: int = 3

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ kernel_of(self, x.shape[-1], self.channels) + bias_of(self, self.channels)[None]


def test_made_as_flax_makes_them_and_read_as_they_are() -> None:
    x = jnp.ones((2, 5))
    with jax.numpy_dtype_promotion("standard"):  # Flax's keys promote inside.
        made: dict[str, Any] = cast("Any", Layer().init(jax.random.key(0), x))["params"]
    assert {name: value.shape for name, value in made.items()} == {"kernel": (5, 3), "bias": (3,)}
    assert not made["bias"].any()
    assert 0.1 < float(jnp.std(made["kernel"])) < 2
    given = {"kernel": jnp.arange(15.0).reshape(5, 3), "bias": jnp.arange(3.0)}
    np.testing.assert_allclose(
        cast("jax.Array", Layer().apply({"params": given}, x)), x @ given["kernel"] + given["bias"][None]
    )


@pytest.mark.parametrize(("name", "shape"), [("kernel", (5, 4)), ("bias", (4,))])
def test_another_shape_is_refused(name: str, shape: tuple[int, ...]) -> None:
    given = {"kernel": jnp.ones((5, 3)), "bias": jnp.ones(3), name: jnp.ones(shape)}
    with pytest.raises(ValueError, match=f"{name} has shape .* give weights of this network"):
        Layer().apply({"params": given}, jnp.ones((2, 5)))
