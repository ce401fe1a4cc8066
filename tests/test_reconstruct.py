"""Reconstruction and refinement: the feature loss, the Adam loop that lowers it, and what the loop promises."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles_networks as oracles
import pytest

from dnr_jax.networks.network import Network
from dnr_jax.networks.taps import conv_layers_below
from dnr_jax.networks.vgg import VGG
from dnr_jax.rendering import optimise
from dnr_jax.rendering.optimise import Minimum, Schedule, minimise
from dnr_jax.rendering.reconstruct import FeatureLoss, FeatureTargets, reconstruct
from dnr_jax.rendering.refine import refine
from dnr_jax.rendering.sampler import sample
from dnr_jax.weights import Weights

WIDTHS = (4, 6, 8, 8, 8)
CENTRE = np.array([[0.3, -1.0, 2.0], [0.0, 5.0, -0.2]])
SCALE = np.array([[1.0, 0.5, 2.0], [3.0, 0.1, 1.0]])


class Quadratic:
    """`sum(scale * (value - centre)^2)`, optionally kept at or above `floor`; equal ones are one."""

    def __init__(self, floor: float = -np.inf) -> None:
        self.floor = floor

    def __call__(self, value: jax.Array, data: Any) -> jax.Array:
        centre, scale = data
        return jnp.sum(scale * jnp.square(value - centre))

    def project(self, value: jax.Array) -> jax.Array:
        return jnp.maximum(value, self.floor)

    def __hash__(self) -> int:
        return hash(self.floor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quadratic) and self.floor == other.floor


def descend(schedule: Schedule, floor: float = -np.inf, **options: Any) -> Minimum:
    data = (jnp.asarray(CENTRE, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    return minimise(Quadratic(floor), jnp.zeros((2, 3)), data, schedule, stage="test", **options)


def photo(height: int, width: int, seed: int = 0) -> jax.Array:
    """A smooth random photo, so that a shift of a fraction of a pixel can be undone."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    for _ in range(6):
        noise = oracles.binomial(noise)
    return jnp.asarray(np.clip(128 + 50 * noise / noise.std(), 0, 255), jnp.float32)


def make_targets(network: Network, image: jax.Array, taps: tuple[str, ...], *weights: float) -> FeatureTargets:
    features = network.features(image, taps)
    size = (jnp.int32(image.shape[0]), jnp.int32(image.shape[1]))
    return FeatureTargets(network, tuple(features[tap] for tap in taps), size, weights)


@pytest.mark.parametrize("kind", ["norm", "squared"])
@pytest.mark.parametrize(
    ("taps", "weights"),
    [(("block1_conv2",), (1.0,)), (("block1_conv1", "block2_conv2", "block3_pool"), (0.5, 2.0, 3.0))],
)
def test_the_loss_is_the_weighted_sum_over_taps(
    small_vgg: Weights, kind: str, taps: tuple[str, ...], weights: tuple[float, ...]
) -> None:
    network, other, image = small_vgg.network, photo(32, 24, 1), photo(32, 24)
    got = jax.jit(FeatureLoss(taps, kind))(other, make_targets(network, image, taps, *weights))
    params = {layer: {k: np.asarray(v) for k, v in arrays.items()} for layer, arrays in network.params.items()}
    features = [oracles.vgg(oracles.keras_input(np.asarray(x)), params, taps[-1]) for x in (other, image)]
    others, targets = ([f[tap] for tap in taps] for f in features)
    expected = oracles.feature_loss(others, targets, list(weights), kind)
    assert got.dtype == jnp.float32
    assert got.shape == ()
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["norm", "squared"])
def test_padding_counts_nothing(small_vgg: Weights, kind: str) -> None:
    taps, image, other = ("block1_conv2", "block2_conv2"), photo(25, 23), photo(25, 23, 1)
    targets = make_targets(small_vgg.network, image, taps, 1.0, 2.0)
    loss = FeatureLoss(taps, kind)
    value, gradient = jax.jit(jax.value_and_grad(loss))(other, targets)
    junk = [jnp.full((s, s, f.shape[2]), 9e3) for s, f in zip((32, 16), targets.features, strict=True)]
    wide = [j.at[: f.shape[0], : f.shape[1]].set(f) for j, f in zip(junk, targets.features, strict=True)]
    padded = jnp.full((32, 32, 3), 77.0).at[:25, :23].set(other)
    got, slopes = jax.jit(jax.value_and_grad(loss))(padded, targets._replace(features=tuple(wide)))
    np.testing.assert_allclose(got, value, rtol=1e-5)
    np.testing.assert_allclose(slopes[:25, :23], gradient, rtol=0, atol=1e-5 * float(jnp.abs(gradient).max()))
    assert not np.asarray(slopes)[25:].any()
    assert not np.asarray(slopes)[:, 23:].any()


@pytest.mark.parametrize("kind", ["norm", "squared"])
def test_the_gradient_agrees_with_finite_differences(small_vgg: Weights, kind: str) -> None:
    taps = ("block1_conv2", "block2_conv1")
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64)), small_vgg.network.params)
        image, other = (jnp.asarray(np.asarray(photo(12, 10, seed), np.float64)) for seed in (0, 1))
        targets = make_targets(Network(params, VGG(WIDTHS)), image, taps, 1.0, 0.5)
        loss = jax.jit(jax.value_and_grad(FeatureLoss(taps, kind)))
        gradient = np.asarray(loss(other, targets)[1])
        for seed in range(4):
            direction = np.random.default_rng(seed).normal(size=other.shape)
            ends = [float(loss(other + sign * 1e-6 * direction, targets)[0]) for sign in (1, -1)]
            np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, (gradient * direction).sum(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["norm", "squared"])
def test_a_perfect_match_has_no_loss_and_no_gradient(small_vgg: Weights, kind: str) -> None:
    image = photo(12, 10)
    targets = make_targets(small_vgg.network, image, ("block1_conv1",), 1.0)
    # Not compiled as a whole, so that both sides round alike and match to the bit.
    value, gradient = jax.value_and_grad(FeatureLoss(("block1_conv1",), kind))(image, targets)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


def test_only_the_named_taps_are_evaluated(small_vgg: Weights) -> None:
    params = {layer: small_vgg.network.params[layer] for layer in conv_layers_below("block1_conv2")}
    targets = make_targets(Network(params, VGG(WIDTHS)), photo(16, 16), ("block1_conv2",), 1.0)
    result = reconstruct(FeatureLoss(("block1_conv2",)), photo(16, 16, 1), targets, Schedule(2, 4.0, False, 0.0))
    assert result.losses[-1] < result.losses[0]


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("steps", [1, 40])
def test_adam_is_the_oracles_step_by_step(cosine: bool, steps: int) -> None:
    expected, iterates = oracles.adam_on_quadratic(np.zeros((2, 3)), CENTRE, SCALE, steps, 0.3, cosine)
    result = descend(Schedule(steps, 0.3, cosine, 0.0), snapshot_every=1)
    assert result.steps == steps
    assert result.losses.dtype == np.float32
    np.testing.assert_allclose(result.losses, expected, rtol=1e-4, atol=1e-5)
    assert [step for step, _ in result.snapshots] == list(range(1, steps + 1))
    for (_, snapshot), iterate in zip(result.snapshots, iterates, strict=True):
        np.testing.assert_allclose(snapshot, iterate, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result.value, result.snapshots[-1][1])


@pytest.mark.parametrize("tolerance", [0.2, 0.01])
def test_it_stops_when_eleven_losses_are_within_the_tolerance(tolerance: float) -> None:
    schedule = Schedule(200, 0.3, False, 0.0)
    losses = descend(schedule, floor=0.0).losses  # What the floor holds back leaves a loss to settle at.
    result = descend(schedule._replace(tolerance=tolerance), floor=0.0)
    windows = [losses[t - 10 : t + 1] for t in range(10, 200)]
    settled = 10 + next(i for i, w in enumerate(windows) if w.max() - w.min() <= tolerance * w.max())
    assert 10 < settled < 190
    assert result.steps == settled + 1  # The step at which it is seen is still taken.
    np.testing.assert_array_equal(result.losses, losses[: settled + 2])


def test_a_loss_that_overshoots_has_not_settled() -> None:
    data, start = (jnp.zeros((2, 3)), jnp.ones((2, 3))), jnp.full((2, 3), 0.05)
    result = minimise(Quadratic(), start, data, Schedule(120, 0.3, False, 0.05), stage="test")
    assert result.losses[10] > result.losses[0]  # Ten steps on, nothing has fallen yet.
    assert result.losses[-1] < 0.1 * result.losses[0]


def test_tolerance_zero_runs_every_step() -> None:
    start = jnp.asarray(CENTRE, jnp.float32)  # At the minimum, where nothing falls any more.
    data = (start, jnp.asarray(SCALE, jnp.float32))
    for tolerance, steps in ((0.0, 50), (1e-3, 50), (0.5, 50)):
        result = minimise(Quadratic(), start + 1e-3, data, Schedule(50, 1e-9, False, tolerance), stage="test")
        assert result.steps == (steps if tolerance == 0 else 11)


def test_no_steps_leave_the_start() -> None:
    result = descend(Schedule(0, 0.3, True, 1e-3), snapshot_every=1, progress=lambda *_: None)
    np.testing.assert_array_equal(result.value, np.zeros((2, 3)))
    np.testing.assert_allclose(result.losses, [np.sum(SCALE * CENTRE**2)], rtol=1e-6)
    assert result.snapshots == []


@pytest.mark.parametrize("progress", [False, True])
def test_snapshots_are_shorter_runs(progress: bool) -> None:
    schedule = Schedule(45, 0.3, False, 0.0)
    result = descend(schedule, snapshot_every=10, progress=(lambda *_: None) if progress else None)
    assert [step for step, _ in result.snapshots] == [10, 20, 30, 40]
    for step, snapshot in result.snapshots:
        np.testing.assert_array_equal(snapshot, descend(schedule._replace(steps=step)).value)
    np.testing.assert_array_equal(result.losses, descend(schedule).losses)  # Watching changes nothing.


@pytest.mark.parametrize("tolerance", [0.0, 0.02])
def test_progress_rises_to_the_end(tolerance: float) -> None:
    calls: list[tuple[int, int]] = []
    descend(Schedule(200, 0.3, False, tolerance), progress=lambda *call: calls.append(call))
    assert {most for _, most in calls} == {200}
    done = [step for step, _ in calls]
    assert done == sorted(done)
    assert done[0] < 200 == done[-1]
    assert 2 <= len(calls) <= 25


def test_a_loss_that_is_not_finite_names_stage_and_step() -> None:
    class Leak(Quadratic):
        def __call__(self, value: jax.Array, data: Any) -> jax.Array:
            return jnp.where(value[0, 2] > 1.0, jnp.nan, super().__call__(value, data))

    data = (jnp.asarray(CENTRE, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    # Adam's steps are the rate at first: coordinates .3, .6, .9, 1.2 after steps 1 to 4.
    with pytest.raises(FloatingPointError, match=r"loss of the reconstruction is nan at step 4\b"):
        minimise(Leak(), jnp.zeros((2, 3)), data, Schedule(50, 0.3, False, 0.0), stage="reconstruction")
    with pytest.raises(FloatingPointError, match=r"loss of the refinement is nan at step 4\b"):
        minimise(Leak(), jnp.zeros((2, 3)), data, Schedule(4, 0.3, False, 0.0), stage="refinement")
    with pytest.raises(FloatingPointError, match=r"is inf at step 0\b"):
        minimise(Quadratic(), jnp.full((2, 3), 1e30), data, Schedule(4, 0.3, False, 0.0), stage="test")


def test_stages_name_themselves(small_vgg: Weights) -> None:
    targets = make_targets(small_vgg.network, photo(8, 8), ("block1_conv2",), float("nan"))
    loss, schedule = FeatureLoss(("block1_conv2",)), Schedule(2, 1.0, False, 0.0)
    with pytest.raises(FloatingPointError, match="reconstruction is nan at step 0"):
        reconstruct(loss, photo(8, 8, 1), targets, schedule)
    with pytest.raises(FloatingPointError, match="refinement is nan at step 0"):
        refine(loss, photo(8, 8, 1), targets, schedule)


def test_other_schedules_compile_nothing() -> None:
    descend(Schedule(30, 0.3, True, 1e-3))
    # Whether a value compiles anew is what a jitted function's cache tells; its type does not declare that.
    cache_size = getattr(optimise._advance, "_cache_size")  # noqa: B009
    compiled = cache_size()
    for schedule in (Schedule(7, 0.3, True, 1e-3), Schedule(255, 2.5, False, 0.0), Schedule(30, 1e-3, True, 0.5)):
        descend(schedule, snapshot_every=5, progress=lambda *_: None)
    assert cache_size() == compiled


def test_every_value_is_projected_and_the_start_is_kept() -> None:
    start = jnp.zeros((2, 3))
    data = (jnp.asarray(CENTRE, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    schedule = Schedule(60, 0.3, False, 0.0)
    result = minimise(Quadratic(-0.1), start, data, schedule, stage="test", snapshot_every=1)
    assert min(float(snapshot.min()) for _, snapshot in result.snapshots) == np.float32(-0.1)
    np.testing.assert_array_equal(start, np.zeros((2, 3)))  # Its buffer was not consumed.


@pytest.mark.parametrize("cosine", [False, True])
def test_reconstruction_finds_the_image_and_stays_in_range(small_vgg: Weights, cosine: bool) -> None:
    image = jnp.where(photo(16, 20) < 128, 0.0, 255.0)  # Both ends of the range pull at the clip.
    targets = make_targets(small_vgg.network, image, ("block1_conv2",), 1.0)
    schedule, start = Schedule(60, 8.0, cosine, 0.0), jnp.full((16, 20, 3), 128.0)
    result = reconstruct(FeatureLoss(("block1_conv2",)), start, targets, schedule, snapshot_every=20)
    assert result.losses[-1] < 0.5 * result.losses[0]
    for value in (result.value, *(snapshot for _, snapshot in result.snapshots)):
        assert float(value.min()) >= 0
        assert float(value.max()) <= 255
    assert float(result.value.min()) == 0
    assert float(result.value.max()) == 255
    again = reconstruct(FeatureLoss(("block1_conv2",)), start, targets, schedule, snapshot_every=20)
    assert np.asarray(again.value).tobytes() == np.asarray(result.value).tobytes()
    assert again.losses.tobytes() == result.losses.tobytes()


def test_refinement_undoes_a_shift_and_leaves_the_pixels(small_vgg: Weights) -> None:
    image = photo(24, 20)
    rows, columns = np.mgrid[:24, :20]
    shift = np.stack([0.4 * np.sin(columns / 4), 0.4 * np.cos(rows / 5)], -1)
    moved = jnp.asarray(oracles.sample(np.asarray(image), shift), jnp.float32)
    before = np.asarray(moved).copy()
    taps = ("block1_conv2",)
    targets = make_targets(small_vgg.network, image, taps, 1.0)
    result = refine(FeatureLoss(taps), moved, targets, Schedule(40, 0.05, True, 0.0))
    assert result.value.shape == (24, 20, 2)
    assert result.losses[-1] < 0.3 * result.losses[0]
    np.testing.assert_array_equal(moved, before)
    np.testing.assert_allclose(result.losses[0], FeatureLoss(taps)(moved, targets), rtol=1e-5)  # It starts at zero.
    refined = sample(moved, result.value)
    np.testing.assert_allclose(result.losses[-1], FeatureLoss(taps)(refined, targets), rtol=1e-5)
    assert float(jnp.mean(jnp.square(refined - image))) < 0.6 * float(jnp.mean(jnp.square(moved - image)))
    again = refine(FeatureLoss(taps), moved, targets, Schedule(40, 0.05, True, 0.0))
    assert np.asarray(again.value).tobytes() == np.asarray(result.value).tobytes()


def test_a_loss_that_is_no_number_is_not_hidden(small_vgg: Weights) -> None:
    image = photo(16, 16)
    targets = make_targets(small_vgg.network, image, ("block1_conv2",), 1.0)
    broken = image.at[3, 4, 1].set(jnp.nan)
    assert np.isnan(FeatureLoss(("block1_conv2",))(broken, targets))
    with pytest.raises(FloatingPointError, match="reconstruction"):
        reconstruct(FeatureLoss(("block1_conv2",)), broken, targets, Schedule(2, 1.0, False, 0.0))
