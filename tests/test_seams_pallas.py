"""Compiled kernels: maps larger than the shared tests', what a GPU would be given, and which implementation runs."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from drawn_photos import QUICK, textured_photo
from seam_checks import check

from dnr_jax.pipeline import Result, retarget
from dnr_jax.planning import seams_pallas as kernel
from dnr_jax.planning.seam_kernels import choose_seam_kernel
from dnr_jax.weights import Weights

SMALL = dataclasses.replace(QUICK, taps=("block1_conv2", "block2_conv2"))


@pytest.mark.parametrize("shared_bytes", [kernel.SHARED_BYTES, 0])
@pytest.mark.parametrize("valid", [(37, 150), (16, 128), (33, 129), (17, 140)])
def test_maps_of_several_words_and_several_columns_a_thread(valid: tuple[int, int], shared_bytes: int) -> None:
    cost = np.random.default_rng(valid[1]).integers(0, 9, valid).astype(np.float32)
    padded = np.full((37, 150), 3.0, np.float32)
    padded[: valid[0], : valid[1]] = cost
    size = (jnp.int32(valid[0]), jnp.int32(valid[1]))
    found = jax.jit(kernel.find_seams, static_argnames="shared_bytes")(
        padded, jnp.int32(12), size=size, shared_bytes=shared_bytes
    )
    check(found, oracles.find_seams(cost, 12), valid)


@pytest.mark.parametrize("shared_bytes", [kernel.SHARED_BYTES, 0])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_a_gpu_is_given_one_kernel_for_all_seams_of_all_maps(batch: tuple[int, ...], shared_bytes: int) -> None:
    """The kernel lowers to Mosaic GPU, without a GPU: one launch, and no loop around it."""

    def find(cost: jax.Array, count: jax.Array, threshold: jax.Array) -> kernel.Seams:
        return kernel.find_seams(cost, count, threshold=threshold, interpret=False, shared_bytes=shared_bytes)

    run = jax.vmap(find) if batch else find
    kinds = [((*batch, 48, 200), jnp.float32), (batch, jnp.int32), (batch, jnp.float32)]
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in kinds]
    text = jax.jit(run).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("@mosaic_gpu") == 1
    assert "stablehlo.while" not in text


def test_it_asks_by_name_for_the_semantics_that_it_was_written_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pallas takes by itself changed with JAX 0.11."""
    gpu, asked = kernel.plgpu, []
    make = gpu.CompilerParams
    monkeypatch.setattr(gpu, "CompilerParams", lambda **options: asked.append(options) or make(**options))
    cost = jax.ShapeDtypeStruct((24, 140), jnp.float32)
    jax.jit(partial(kernel.find_seams, interpret=False)).trace(cost, jax.ShapeDtypeStruct((), jnp.int32)).lower(
        lowering_platforms=("cuda",)
    )
    assert [options["lowering_semantics"] for options in asked] == [gpu.LoweringSemantics.Lane]


def test_the_automatic_choice_is_the_scan() -> None:
    assert [choose_seam_kernel(word) for word in ("auto", "scan", "pallas")] == ["scan", "scan", "pallas"]
    with pytest.raises(ValueError, match="seam_kernel is 'cuda': choose auto or scan or pallas"):
        choose_seam_kernel("cuda")


@pytest.mark.slow
def test_the_option_chooses_which_implementation_runs(small_vgg: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the whole method; the images are the same to the last bit."""
    launched = []

    def counted(*args: Any, **options: Any) -> kernel.Seams:
        launched.append(args[0].shape)
        return find(*args, **options)

    find = kernel.find_seams
    monkeypatch.setattr(kernel, "find_seams", counted)
    # No other test has these taps and options, so that each choice is traced here.
    photo, results, ran = textured_photo(22, 46), [], []
    for choice in ("auto", "scan", "pallas"):
        config = dataclasses.replace(SMALL, seam_kernel=choice)
        results.append(retarget(photo, (22, 39), config, small_vgg))
        ran.append(list(launched))
    assert ran == [[], [], [(16, 32), (32, 64)]]
    for result in results[1:]:
        assert_same_seams(result, results[0])
        np.testing.assert_array_equal(result.image, results[0].image)


def assert_same_seams(result: Result, expected: Result) -> None:
    (step,), (other,) = result.passes, expected.passes
    jax.tree.map(np.testing.assert_array_equal, step.carving, other.carving)
    assert int(step.carving.levels[0].removed) > 0
