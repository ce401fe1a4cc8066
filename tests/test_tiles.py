"""Tiles: working on those near joints alone is working on the whole image with all else held fixed."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tile_cases import (
    JOINTS,
    ONE,
    SHAPE,
    SIZE,
    TWO,
    Case,
    crop,
    cut_seams,
    draw_joints,
    features_of,
    make_case,
    pair,
    random_image,
)

from dnr_jax.networks.taps import Level
from dnr_jax.rendering import optimise, tiles
from dnr_jax.rendering.joints import active_tiles, find_joints
from dnr_jax.rendering.optimise import Schedule, minimise, minimise_traced
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets
from dnr_jax.rendering.refine import SampledLoss, SampledTargets
from dnr_jax.rendering.sampler import sample
from dnr_jax.rendering.tiles import TiledImage, TiledLoss, TiledSampledLoss, reconstruct_tiles, refine_tiles
from dnr_jax.weights import Weights, load_weights


@pytest.fixture(
    params=[
        "small-2",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("small-1", "learned-1", "learned-2", "analytic-2")),
    ]
)
def case(request: pytest.FixtureRequest, small_vgg: Weights) -> Case:
    name, taps = request.param.split("-")
    return Case(small_vgg.network if name == "small" else load_weights(name).network, ONE if taps == "1" else TWO)


class Held(NamedTuple):
    """Data of `HeldLoss`."""

    data: Any
    free: jax.Array


@dataclasses.dataclass(frozen=True)
class HeldLoss:
    """The loss of the image in one piece, all but free places held fixed."""

    loss: Any

    def __call__(self, value: jax.Array, data: Held) -> jax.Array:
        return self.loss(jnp.where(data.free, value, jax.lax.stop_gradient(value)), data.data)

    def project(self, value: jax.Array) -> jax.Array:
        return self.loss.project(value)


@pytest.mark.parametrize("turned", [False, True])
def test_what_differs_from_the_target_lies_in_active_tiles(case: Case, turned: bool) -> None:
    """Seams at both borders and within; each tap has its own."""
    (network, taps), height, width = case, 71, 99
    photo = random_image(3, height, width)
    photo = photo.transpose(1, 0, 2) if turned else photo
    kept = {tap: cut_seams(4, height // s, width // s, 4 // s) for tap in taps for s in [Level(tap).stride]}

    def carve(array: jax.Array | np.ndarray, tap: str) -> np.ndarray:
        array = np.swapaxes(np.asarray(array), 0, 1) if turned else np.asarray(array)
        carved = np.take_along_axis(array, kept[tap][..., None], 1)
        return np.swapaxes(carved, 0, 1) if turned else carved

    features = features_of(network, jnp.asarray(photo), taps)
    start = jnp.asarray(carve(photo, ONE[0]))
    size = (start.shape[0], start.shape[1])
    sources = {}
    for tap in taps:
        height, width = features[tap].shape[:2]
        places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
        sources[tap] = jnp.asarray(carve(places, tap))
    targets = FeatureTargets(network, tuple(jnp.asarray(carve(features[t], t)) for t in taps), pair(size), (1.0,) * 2)
    targets = targets._replace(loss_weights=targets.loss_weights[: len(taps)])
    joints = find_joints(sources.pop(ONE[0]), pair(size), pair((photo.shape[0], photo.shape[1])), neurons=sources)
    found = active_tiles(joints, taps, margin=0)
    assert 0 < int(found.active) < found.order.size
    tiled = tiles.tile_targets(FeatureLoss(taps), start, targets, found)
    whole = float(_evaluate(FeatureLoss(taps, "squared"), start, targets)[0])
    assert whole > 0
    assert float(tiled.rest.sum()) < 1e-9 * whole


@pytest.mark.parametrize("name", list(JOINTS))
def test_losses_and_gradients_are_those_of_the_whole(case: Case, name: str) -> None:
    check_loss_and_gradients(case, name, FeatureLoss(case.taps))


@pytest.mark.parametrize("taps", [ONE, pytest.param(TWO, marks=pytest.mark.slow)])
def test_squared_losses_and_their_gradients(taps: tuple[str, ...], small_vgg: Weights) -> None:
    check_loss_and_gradients(Case(small_vgg.network, taps), "borders", FeatureLoss(taps, "squared"))


def check_loss_and_gradients(case: Case, name: str, loss: FeatureLoss) -> None:
    start, targets, found = make_case(case.network, case.taps, draw_joints(name))
    tiled = tiles.tile_targets(loss, start, targets, found)
    whole, slopes = _evaluate(HeldLoss(loss), start, Held(targets, found.free))
    here, gradient = _evaluate(TiledLoss(loss), start, tiled)
    np.testing.assert_allclose(here, whole, rtol=1e-5)
    scale = max(float(jnp.abs(slopes).max()), 1e-30)
    np.testing.assert_allclose(gradient / scale, slopes / scale, atol=5e-6)
    assert (int(found.active) == 0) == (name == "none")
    assert (int(found.active) == found.order.size) == (name == "all")
    assert bool(gradient.any()) == (name != "none")
    shift = jnp.asarray(np.random.default_rng(5).normal(0, 0.7, (*SHAPE, 2)), jnp.float32) * found.free.astype(
        jnp.float32
    )
    image = jnp.where(jnp.abs(start) > 255, 0, start)
    # What the displaced image has outside of free pixels is the image itself.
    whole, slopes = _evaluate(HeldLoss(SampledLoss(loss)), shift, Held(SampledTargets(image, targets), found.free))
    here, gradient = _evaluate(TiledSampledLoss(loss), shift, TiledImage(image, tiled))
    np.testing.assert_allclose(here, whole, rtol=1e-5)
    scale = max(float(jnp.abs(slopes).max()), 1e-30)
    np.testing.assert_allclose(gradient / scale, slopes / scale, atol=5e-4)  # Slopes jump where a cell ends.


def test_optimised_tiles_are_the_whole_held_fixed(case: Case) -> None:
    (network, taps), size = case, SIZE
    start, targets, found = make_case(network, taps, draw_joints("borders"))
    loss, schedule = FeatureLoss(taps), Schedule(12, 2.0, True, 0.0)
    tiled = tiles.tile_targets(loss, start, targets, found)
    before = np.asarray(start).copy()
    here = reconstruct_tiles(loss, start, tiled, schedule, snapshot_every=5)
    whole = minimise(HeldLoss(loss), start, Held(targets, found.free), schedule, stage="test")
    np.testing.assert_allclose(here.losses, whole.losses, rtol=1e-5)
    np.testing.assert_allclose(crop(here.value, size), crop(whole.value, size), atol=0.01)
    assert here.losses[-1] < here.losses[0]
    assert [step for step, _ in here.snapshots] == [5, 10]
    fixed = ~np.asarray(found.free)[: size[0], : size[1], 0]
    np.testing.assert_array_equal(crop(here.value, size)[fixed], crop(start, size)[fixed])
    np.testing.assert_array_equal(start, before)

    schedule = schedule._replace(rate=0.02)
    moved = refine_tiles(loss, here.value, tiled, schedule)
    data = Held(SampledTargets(here.value, targets), found.free)
    whole = minimise(HeldLoss(SampledLoss(loss)), jnp.zeros((*SHAPE, 2)), data, schedule, stage="test")
    np.testing.assert_allclose(moved.losses[0], here.losses[-1], rtol=1e-5)
    np.testing.assert_allclose(moved.losses, whole.losses, rtol=1e-5)
    refined = crop(sample(here.value, moved.value, size=pair(size)), size)
    np.testing.assert_allclose(refined, crop(sample(here.value, whole.value, size=pair(size)), size), atol=0.01)
    assert moved.losses[-1] < moved.losses[0]
    assert not crop(moved.value, size)[fixed].any()
    np.testing.assert_array_equal(refined[fixed], crop(here.value, size)[fixed])


def test_nothing_to_do_leaves_the_start_and_its_loss(small_vgg: Weights) -> None:
    start, targets, found = make_case(small_vgg.network, ONE, draw_joints("none"))
    tiled = tiles.tile_targets(FeatureLoss(ONE), start, targets, found)
    result = reconstruct_tiles(FeatureLoss(ONE), start, tiled, Schedule(30, 4.0, True, 1e-3))
    np.testing.assert_array_equal(crop(result.value), crop(start))
    np.testing.assert_allclose(result.losses, FeatureLoss(ONE)(start, targets), rtol=1e-5)
    assert result.steps == 11  # It has settled from the first step on.
    assert not refine_tiles(FeatureLoss(ONE), start, tiled, Schedule(3, 0.1, True, 0.0)).value.any()


def test_a_perfect_match_has_a_finite_loss(small_vgg: Weights) -> None:
    start = jnp.asarray(random_image(1))
    targets = FeatureTargets(small_vgg.network, (jnp.zeros((*SHAPE, 4)),), pair((0, 0)), (1.0,))
    found = active_tiles(jnp.asarray(draw_joints("one")), ONE)
    tiled = tiles.tile_targets(FeatureLoss(ONE), start, targets, found)
    loss, gradient = _evaluate(TiledLoss(FeatureLoss(ONE)), start, tiled)
    assert float(loss) == 0
    assert not gradient.any()


@pytest.mark.parametrize("size", [(7, 5), (36, 47)])
def test_unpadded_images_smaller_than_a_window_or_little_larger(case: Case, size: tuple[int, int]) -> None:
    joints = np.zeros(size, bool)
    joints[2, 3] = True
    taps = case.taps
    start, targets, found = make_case(case.network, taps, joints, size)
    tiled = tiles.tile_targets(FeatureLoss(taps), start, targets, found)
    whole, slopes = _evaluate(HeldLoss(FeatureLoss(taps)), start, Held(targets, found.free))
    here, gradient = _evaluate(TiledLoss(FeatureLoss(taps)), start, tiled)
    np.testing.assert_allclose(here, whole, rtol=1e-5)
    np.testing.assert_allclose(gradient, slopes, atol=5e-6 * float(jnp.abs(slopes).max()))


def test_a_traced_batch_is_each_alone(embedded: Weights) -> None:
    """Other joints and sizes beside each other, as the batch program has them: under vmap and one after the other."""
    loss, schedule = FeatureLoss(ONE), Schedule(6, 2.0, True, 0.0)
    cases = [
        make_case(embedded.network, ONE, draw_joints(name), size) for name, size in (("one", SIZE), ("none", (80, 90)))
    ]
    starts = jnp.stack([start for start, _, _ in cases])
    features = jnp.stack([targets.features[0] for _, targets, _ in cases])
    sizes = jnp.asarray([SIZE, (80, 90)])
    joints = jnp.stack([jnp.asarray(draw_joints(name)) for name in ("one", "none")])

    def run(start: jax.Array, features: jax.Array, size: jax.Array, joints: jax.Array) -> tuple[jax.Array, ...]:
        targets = FeatureTargets(embedded.network, (features,), (size[0], size[1]), (1.0,))
        tiled = tiles.tile_targets(loss, start, targets, active_tiles(joints, ONE))
        return minimise_traced(TiledLoss(loss), start, tiled, schedule)

    at_once = jax.jit(jax.vmap(run))(starts, features, sizes, joints)
    in_turn = jax.jit(lambda *arrays: jax.lax.map(lambda one: run(*one), arrays))(starts, features, sizes, joints)
    for i, (start, targets, found) in enumerate(cases):
        alone = reconstruct_tiles(loss, start, tiles.tile_targets(loss, start, targets, found), schedule)
        for values, losses, steps in (at_once, in_turn):
            assert int(steps[i]) == alone.steps
            np.testing.assert_allclose(losses[i][: alone.steps + 1], alone.losses, rtol=1e-5)
            height, width = (int(n) for n in sizes[i])
            np.testing.assert_allclose(values[i, :height, :width], alone.value[:height, :width], atol=0.01)


def test_other_joints_compile_nothing(small_vgg: Weights) -> None:
    compiled = []
    for name in ("one", "borders", "none", "all", "corners"):
        start, targets, found = make_case(small_vgg.network, ONE, draw_joints(name))
        tiled = tiles.tile_targets(FeatureLoss(ONE), start, targets, found)
        built = reconstruct_tiles(FeatureLoss(ONE), start, tiled, Schedule(2, 4.0, True, 1e-3))
        refine_tiles(FeatureLoss(ONE), built.value, tiled, Schedule(2, 0.01, True, 1e-3))
        programs = (active_tiles, tiles.tile_targets, optimise._advance)
        # Whether a value compiles anew is what a jitted function's cache tells; its type does not declare that.
        compiled.append([getattr(program, "_cache_size")() for program in programs])  # noqa: B009
    assert compiled[1:] == compiled[:-1]


def test_a_loss_that_is_no_number_is_not_hidden(small_vgg: Weights) -> None:
    start, targets, found = make_case(small_vgg.network, ONE, draw_joints("one"))
    loss, schedule = FeatureLoss(ONE), Schedule(2, 4.0, True, 0.0)
    for place in ((30, 40), (5, 90)):  # In an active tile and far from one.
        broken = start.at[place].set(jnp.nan)
        tiled = tiles.tile_targets(loss, broken, targets, found)
        with pytest.raises(FloatingPointError, match="reconstruction is nan at step 0"):
            reconstruct_tiles(loss, broken, tiled, schedule)
        with pytest.raises(FloatingPointError, match="refinement is nan at step 0"):
            refine_tiles(loss, broken, tiled, schedule)


@partial(jax.jit, static_argnums=0)
def _evaluate(objective: Any, value: jax.Array, data: Any) -> tuple[jax.Array, jax.Array]:
    """Loss and gradient."""
    return jax.value_and_grad(objective)(value, data)
