"""Photos scaled into a few fixed shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles_u2net import _scaled_rows as scaled_rows

from dnr_jax.networks import letterbox as module
from dnr_jax.networks.letterbox import LONGER, boxed, canvas_shape, fit_letterbox, halved, letterbox, rounded_up
from dnr_jax.shapes import bucket_shape


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("shape", [(48, 300), (300, 48), (900, 700)])
def test_the_photo_is_the_oracles(shape: tuple[int, int]) -> None:
    image = photo(*shape)
    box = boxed(jnp.asarray(image))
    height, width = map(int, box.size)
    scale = min(module.MOST_ENLARGED, LONGER / max(shape))
    assert (height, width) == (round(shape[0] * scale), round(shape[1] * scale))
    expected = scaled_rows(image.astype(np.float64), height)
    expected = scaled_rows(expected.transpose(1, 0, 2), width).transpose(1, 0, 2)
    np.testing.assert_allclose(box.image[:height, :width], expected, rtol=0, atol=0.01)
    assert not np.any(box.image[height:])
    assert not np.any(box.image[:, width:])


@pytest.mark.parametrize("junk", [255.0, np.inf, np.nan])
def test_padding_does_not_matter(junk: float) -> None:
    image = photo(90, 120)
    padded = np.full((96, 128, 3), junk, np.float32)
    padded[:90, :120] = image
    alone, found = boxed(jnp.asarray(image)), boxed(jnp.asarray(padded), size=(jnp.int32(90), jnp.int32(120)))
    height, width = map(int, alone.size)
    assert tuple(map(int, found.size)) == (height, width)
    np.testing.assert_allclose(found.image[:height, :width], alone.image[:height, :width], rtol=0, atol=0.01)


def test_shapes_are_few_and_hold_every_photo() -> None:
    shapes = set()
    for height in range(1, 2000, 37):
        for width in range(1, 2000, 97):
            canvas = canvas_shape(bucket_shape((height, width)))
            shapes.add(canvas)
            scale = min(module.MOST_ENLARGED, LONGER / max(height, width))
            assert all(n * scale <= side + 0.5 for n, side in zip((height, width), canvas, strict=True))
    assert len(shapes) <= 2 * module.STEPS - 1
    assert {n % 128 for shape in shapes for n in shape} == {0}


def test_a_photo_much_smaller_than_its_array_still_fits() -> None:
    padded = np.zeros((64, 512, 3), np.float32)
    padded[:64, :40] = 200
    box = boxed(jnp.asarray(padded), size=(jnp.int32(64), jnp.int32(40)))
    assert int(box.size[0]) == box.image.shape[0]
    np.testing.assert_allclose(box.image[: int(box.size[0]), : int(box.size[1])], 200, rtol=1e-5)


def test_halves_and_sides() -> None:
    box = boxed(jnp.asarray(photo(90, 120)))
    half = halved(box)
    assert [int(n) for n in half.size] == [-(-int(n) // 2) for n in box.size]
    np.testing.assert_allclose(half.image[0, 0], box.image[:2, :2].mean((0, 1)), rtol=1e-5)
    assert fit_letterbox(half, (384, 384)).image.shape == (384, 384, 3)
    assert [int(n) for n in rounded_up((jnp.int32(1), jnp.int32(64)), 32)] == [32, 64]


def test_eager_mapped_and_compiled_are_the_same() -> None:
    images = jnp.stack([jnp.asarray(photo(40, 60))] * 2)
    sizes = jnp.array([40, 30]), jnp.array([60, 60])
    mapped = jax.jit(jax.vmap(letterbox))(images, size=sizes)
    for n in range(2):
        alone = boxed(images[n], size=(sizes[0][n], sizes[1][n]))
        np.testing.assert_allclose(mapped.image[n], alone.image, rtol=0, atol=0.01)
    with jax.disable_jit():
        eager = letterbox(images[0])
    np.testing.assert_allclose(eager.image, boxed(images[0]).image, rtol=0, atol=0.01)
