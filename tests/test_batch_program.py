"""A photo padded into a batch comes out as it does alone: seams, stopping points and pixels."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batch_photos import tiny_photo
from configs import paper_config

from dnr_jax.batch import devices
from dnr_jax.batch.buckets import Bucket, canvases_of, find_bucket
from dnr_jax.batch.devices import Devices, Shaped
from dnr_jax.batch.program import Padded, Retargeted, retarget_padded
from dnr_jax.config import RetargetConfig
from dnr_jax.networks.u2net import SIDE
from dnr_jax.padding import pad, traced_size
from dnr_jax.pipeline import Result, retarget
from dnr_jax.planning.importance import overview_size
from dnr_jax.planning.masks import Masks
from dnr_jax.planning.numbers import traced_numbers
from dnr_jax.planning.reach import seam_target
from dnr_jax.planning.sides import SIDES
from dnr_jax.rendering.render import noise_image
from dnr_jax.shapes import Round
from dnr_jax.sight import Sight, see
from dnr_jax.weights import Weights


class Case(NamedTuple):
    """Photos of one bucket, each with its size and target, and a way to retarget them."""

    weights: Weights
    config: RetargetConfig
    sizes: tuple[tuple[int, int], ...]
    targets: tuple[tuple[int, int], ...]
    rounds: tuple[Round, ...] = (Round("width", 0), Round("height", 0))
    opacity: bool = False
    protected: bool = False

    @property
    def bucket(self) -> Bucket:
        """Of the largest of them."""
        height, width = (max(size[axis] for size in self.sizes) for axis in (0, 1))
        seams_only = self.config.importance_percentile == 100
        target = (max(wanted[0] for wanted in self.targets), max(wanted[1] for wanted in self.targets))
        side = self.weights.network.importance_side
        reach = seam_target((height, width), target, self.config)
        found = find_bucket((height, width), reach, target=target, importance_side=side, seams_only=seams_only)
        return found._replace(rounds=self.rounds, opacity=self.opacity, protected=self.protected)

    def photos(self) -> list[np.ndarray]:
        photos = [tiny_photo(*size, seed=number).astype(np.float32) for number, size in enumerate(self.sizes)]
        photos[1][:] = (90, 120, 150)  # Flat but for a box: most seams tie.
        photos[1][20:30, 30:50] = 250
        if self.opacity:
            photos = [
                np.dstack([photo, np.linspace(0, 255, photo[..., 0].size).reshape(photo.shape[:2])]) for photo in photos
            ]
        return [photo.astype(np.float32) for photo in photos]

    def masks(self) -> list[Masks]:
        """A box at another place of every photo."""
        masks = []
        for number, (height, width) in enumerate(self.sizes):
            protect = np.zeros((height, width), bool)
            protect[10:40, 15 * number + 5 : 15 * number + 45] = True
            masks.append(Masks(protect=protect if self.protected else None))
        return masks

    def run(self) -> Retargeted:
        members = []
        for photo, mask, size, target in zip(self.photos(), self.masks(), self.sizes, self.targets, strict=True):
            # What lies outside the photo must not matter.
            pixels = np.full((*self.bucket.shape, 4), 777, np.float32)
            pixels[: size[0], : size[1], : photo.shape[2]] = photo
            pixels, opacity = pixels[..., :3], pixels[..., 3] / 255 if self.opacity else None
            protect = None if mask.protect is None else pad(mask.protect, self.bucket.shape)
            side = self.weights.network.importance_side
            small = size if side is None else overview_size(size, side)
            reach = seam_target(size, target, self.config)
            sizes = (np.asarray(n, np.int32) for n in (size, small, target, reach))
            salience = np.zeros((SIDE, SIDE), np.float32)
            if self.config.objects == "auto":
                salience = see(jnp.asarray(pixels), traced_size(size), self.config).salience
            members.append(Padded._make([pixels, opacity, protect, salience, *sizes]))
        batch = jax.tree.map(lambda *arrays: np.stack(arrays), *members)
        one = partial(retarget_padded, config=self.config, bucket=self.bucket, keep_seams=True)
        program = jax.jit(jax.vmap(one, in_axes=(None, 0, None)))
        return jax.device_get(program(self.weights.network, batch, traced_numbers(self.config)))

    def alone(self) -> list[Result]:
        return [
            retarget(photo, target, self.config, self.weights, masks=masks)
            for photo, target, masks in zip(self.photos(), self.targets, self.masks(), strict=True)
        ]


def assert_equal(case: Case) -> Retargeted:
    """Photo by photo; returns what the batch gave."""
    together, singly = case.run(), case.alone()
    for number, (result, target) in enumerate(zip(singly, case.targets, strict=True)):
        one = jax.tree.map(lambda array, number=number: array[number], together)
        assert tuple(one.mid) == result.record["intermediate_size"]
        assert np.isclose(one.threshold, result.record["importance_threshold"], rtol=1e-4)
        taken = list(result.passes)
        for step in one.passes:
            alone = taken.pop(0) if taken and taken[0].side == step.side else None
            for level, seams in enumerate(step.carving.levels):
                if alone is None:
                    assert seams.removed == 0
                    continue
                expected = alone.carving.levels[level]
                order = np.asarray(expected.order)
                height, width = order.shape
                assert seams.removed == expected.removed
                # "None passed" is the width of the array, which padding changes.
                order = np.where(order == width, seams.order.shape[1], order)
                np.testing.assert_array_equal(seams.order[:height, :width], order)
        assert not taken
        for stage, losses, steps in (
            ("reconstruction", one.reconstruct_losses, one.reconstruct_steps),
            ("refinement", one.refine_losses, one.refine_steps),
        ):
            if case.config.init == "seam" and not any(step.changes for step in result.passes):
                # Alone, a photo without seams is not optimised at all; in a batch it is, and changes nothing.
                assert result.record[stage]["losses"] == [0.0]
                np.testing.assert_allclose(losses[: steps + 1], 0, atol=1e-3)
                continue
            assert steps == result.record[stage]["steps"]
            np.testing.assert_allclose(losses[: steps + 1], result.record[stage]["losses"], rtol=1e-3, atol=1e-4)
            assert np.isinf(losses[steps + 1 :]).all()
        for side, warp in zip(SIDES, one.warps, strict=True):
            if side in result.warps:
                for found, wanted in zip(warp, result.warps[side], strict=True):
                    np.testing.assert_allclose(found, wanted, atol=0.05)
            else:
                np.testing.assert_array_equal(warp.old_edges, warp.new_edges)
        image = one.image[: target[0], : target[1]]
        assert np.abs(image - result.image).max() <= (2 if case.opacity else 1)
        assert image.shape == result.image.shape
    return together


@pytest.mark.slow
def test_the_embedded_network_and_stopping_points(embedded: Weights) -> None:
    taps = ("block1_conv2", "block3_conv4", "block5_pool")
    config = paper_config(taps=taps, reconstruct_steps=14, refine_steps=3, tolerance=0.02)
    case = Case(embedded, config, ((97, 129),) * 3, ((97, 100), (97, 120), (97, 129)), (Round("width", 0),))
    together = assert_equal(case)
    assert len({int(steps) for steps in together.reconstruct_steps}) > 1


def test_a_network_with_weights_seams_alone_and_a_scaled_start(small_vgg: Weights) -> None:
    config = paper_config(
        taps=("block1_conv2", "block2_conv2"),
        loss_weights=(1.0, 0.5),
        importance_percentile=100,
        region="receptive",
        init="linear",
        reconstruct_steps=3,
        refine_steps=2,
    )
    case = Case(small_vgg, config, ((61, 67), (57, 80)), ((61, 50), (40, 64)))
    assert case.bucket.canvas < case.bucket.shape
    assert_equal(case)


@pytest.mark.slow
def test_the_defaults_whose_seams_are_chosen(embedded: Weights) -> None:
    config = RetargetConfig(
        taps=("block1_conv2", "block4_conv4"),
        keep=("objects",),
        reconstruct_steps=3,
        refine_steps=2,
        optimise="everywhere",
        init="linear",
    )
    case = Case(embedded, config, ((61, 93),) * 2, ((61, 60), (61, 90)), (Round("width", 0),))
    together = assert_equal(case)
    assert together.removed.any(), "some seams are chosen"


@pytest.mark.slow
def test_the_defaults_on_either_side(embedded: Weights) -> None:
    taps = ("block1_conv2", "block3_conv4", "block5_pool")
    config = RetargetConfig(taps=taps, reconstruct_steps=3, refine_steps=2, optimise="everywhere", init="linear")
    case = Case(embedded, config, ((97, 129),) * 3, ((97, 70), (97, 120), (90, 129)))
    assert_equal(case)


@pytest.mark.slow
def test_enlarging_in_rounds_with_opacity(embedded: Weights) -> None:
    taps = ("block1_conv2", "block3_conv4")
    config = paper_config(
        taps=taps, importance_percentile=100, reconstruct_steps=3, refine_steps=2, optimise="everywhere"
    )
    rounds = (Round("width", 128), Round("width", 160))
    case = Case(embedded, config, ((60, 80), (57, 71)), ((60, 150), (57, 90)), rounds, opacity=True)
    together = assert_equal(case)
    assert (together.removed[0] > 0).all()
    assert (together.removed[1, 1] == 0).all(), "this photo needs one round only"
    assert together.image.shape[-1] == 4


@pytest.mark.slow
def test_protected_photos_share_a_batch(embedded: Weights) -> None:
    taps = ("block1_conv2", "block3_conv4")
    config = RetargetConfig(
        taps=taps, importance_percentile=100, reconstruct_steps=2, refine_steps=1, optimise="everywhere", init="linear"
    )
    case = Case(embedded, config, ((60, 80), (57, 91)), ((60, 50), (57, 70)), (Round("width", 0),), protected=True)
    together = assert_equal(case)
    assert together.passes is not None
    levels = together.passes[0].carving.levels
    for order, removed, masks in zip(levels[0].order, levels[0].removed, case.masks(), strict=True):
        assert masks.protect is not None
        height, width = masks.protect.shape
        assert removed > 0
        assert not (np.asarray(order)[:height, :width] < removed)[masks.protect].any()


@pytest.mark.parametrize("per_octave", [1, 16])
def test_networks_see_the_same_whatever_the_steps_of_the_buckets(
    embedded: Weights, per_octave: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    monkeypatch.setattr(devices, "see", lambda pixels, *_: shapes.append(pixels.shape) or Sight(np.zeros((SIDE, SIDE))))
    size = (300, 530)
    bucket = find_bucket(size, size, importance_side=384, seams_only=False, per_octave=per_octave)
    Devices(embedded.network, RetargetConfig())._pad(bucket, 1, [Shaped(np.zeros((*size, 3)), size)])
    assert shapes == [(min(bucket.shape[0], 320), min(bucket.shape[1], 576), 3)]


@pytest.mark.slow
def test_photos_apart_are_optimised_near_joints_as_a_single_photo_is(embedded: Weights) -> None:
    config = paper_config(reconstruct_steps=4, refine_steps=2, optimise="joints")
    bucket = find_bucket((96, 128), (96, 110), importance_side=384, seams_only=False)
    photos = [tiny_photo(96, 128, seed=seed).astype(np.float32) for seed in (0, 1)]
    found = Devices(embedded.network, config).run(bucket, 2, [Shaped(photo, (96, 110)) for photo in photos])
    for photo, (one, _) in zip(photos, found, strict=True):
        alone = retarget(photo, (96, 110), config, embedded)
        assert np.abs(one.image - alone.image).max() <= 1
        losses = alone.record["reconstruction"]["losses"]
        np.testing.assert_allclose(one.reconstruct_losses[: len(losses)], losses, rtol=1e-3, atol=1e-4)


def test_noise_depends_on_the_place_alone() -> None:
    large, small = (np.asarray(noise_image(3, shape)) for shape in ((24, 40), (16, 33)))
    np.testing.assert_array_equal(large[:16, :33], small)
    assert 120 < large.mean() < 135
    assert large.min() >= 0
    assert large.max() <= 255
    assert np.unique(large).size > 0.9 * large.size
    assert (large != np.asarray(noise_image(4, (24, 40)))).mean() > 0.99


@pytest.mark.slow
def test_photos_of_a_batch_go_one_after_the_other_on_a_cpu(embedded: Weights) -> None:
    config = paper_config(taps=("block1_conv2",), reconstruct_steps=2, refine_steps=1, importance_percentile=100)
    bucket = find_bucket((48, 128), (48, 124), importance_side=384, seams_only=False)
    assert canvases_of(bucket) == ((64, 64), (64, 96), (64, 128))
    # Their intermediate images need canvases of their own: 64, 96 and 128 wide.
    photos = [Shaped(tiny_photo(48, 128, seed=width), (48, width)) for width in (60, 90, 124)]
    ways = [Devices(embedded.network, config, together=together) for together in (None, False, True)]
    results = [[one for one, _ in devices.run(bucket, 3, photos)] for devices in ways]
    assert [one.mid.tolist() for one in results[0]] == [[48, 60], [48, 90], [48, 124]]
    for default, apart, together in zip(*results, strict=True):
        np.testing.assert_array_equal(default.image, apart.image)
        np.testing.assert_allclose(apart.image, together.image, atol=0.5)
    held = [devices.compile(bucket, 3).memory_analysis().temp_size_in_bytes for devices in ways]
    assert held[0] == held[1] < held[2]
