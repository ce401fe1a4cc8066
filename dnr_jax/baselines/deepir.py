"""DeepIR's idea: deep features sampled at a constant rate, the photo warped after them by patch matching.

As the DNR paper describes it (Sec. 2): columns of the deepest feature map are sampled at a constant rate, rows where
the height changes; then the photo is warped, never synthesised, by nearest-neighbour fields found coarse to fine with
PatchMatch (Barnes et al. 2009), in the manner of deep image analogy (Liao et al. 2017):

  deepest level: target features `T_L = F_L` at the sampled columns; the field phi_L starts from those columns.
  each level l: phi_l minimises, patch by patch, `||T_l(patch) - F_l(patch at phi_l)||`, features of unit length,
                in their first principal components.
  next finer:   phi_l, upsampled, is where phi_{l-1} starts; `T_{l-1} = F_{l-1}` gathered there.
  the end:      each pixel is the mean of what the patches that overlap it say (phi at full resolution).

The levels are those of deep image analogy, conv1 of each block; a neuron of the deepest spans 16 pixels, and kept
columns come out as whole strips that the finer fields join.

Differs from DeepIR: its features are sampled again at every level and its fields fused; here, as the DNR paper says,
sampling happens on deep features and the finer levels follow. Its feature reconstruction between levels is replaced by
gathering, since here both sides are one photo. Nothing of DNR's reconstruction is used: it is what sets the two apart.

References: J. Lin, T. Zhou and Z. Chen, "DeepIR: a deep semantics driven framework for image retargeting", 2018.
J. Liao et al., "Visual attribute transfer through deep image analogy", ACM TOG 36(4), 2017.
C. Barnes et al., "PatchMatch", ACM TOG 28(3), 2009.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Shaped

from dnr_jax.arrays import Whole
from dnr_jax.baselines import Context
from dnr_jax.baselines.scaling import check_photo
from dnr_jax.networks.taps import levels_of
from dnr_jax.planning.importance import analyse

TAPS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
PATCH = 3
"""Side of the patches in neurons."""
CHANNELS = 16
"""Principal components of the features that patches are compared by, for speed."""
ITERATIONS = 4
"""Rounds of propagation and random search on each level."""
CANDIDATES = 9
"""What a round tries: the four neighbours at two distances, and one random place."""
REACH = 4
"""Random search looks at most this many neurons around a match, except at the deepest level, where all may match."""


def deepir(
    image: Float32[np.ndarray, "_ _ c"], target: tuple[int, int], context: Context
) -> Float32[np.ndarray, "_ _ c"]:
    """Uniform sampling of deep features, and the photo warped after them; see `Baseline`.

    Raises:
      ValueError: a photo smaller than 16 pixels, or a network without the fifth block.
    """
    network, _ = check_photo(image, TAPS, context)
    features = analyse(network, image[..., :3], (), TAPS).features
    key = jax.random.key(context.config.seed)
    field = None
    for step, level in enumerate(reversed(levels_of(TAPS))):
        source = principal(normalise(features.pop(level.tap)))
        shape = tuple(max(1, n) for n in level.size(target))
        if field is None:
            field = sampled_field((source.shape[0], source.shape[1]), (shape[0], shape[1]))
            reach = max(source.shape[:2])
        else:
            field = upsample_field(field, (shape[0], shape[1]), (source.shape[0], source.shape[1]))
            reach = REACH
        field = match(gather(source, field), source, field, reach, jax.random.fold_in(key, step))
        context.report("matching", step + 1, len(TAPS))
    assert field is not None
    return np.asarray(vote(jnp.asarray(image), field))


@jax.jit
def normalise(features: Float32[Array, "h w c"]) -> Float32[Array, "h w c"]:
    """Features of unit length at every neuron (0 where there are none), [h, w, c] -> [h, w, c]."""
    return features / jnp.maximum(jnp.linalg.norm(features, axis=-1, keepdims=True), 1e-6)


@partial(jax.jit, static_argnames=("channels",))
def principal(features: Float32[Array, "h w _"], *, channels: int = CHANNELS) -> Float32[Array, "h w _"]:
    """The components of most energy of features [h, w, c], at most `channels` of them."""
    if features.shape[-1] <= channels:
        return features
    matmul = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    flat = features.reshape(-1, features.shape[-1])
    _, vectors = jnp.linalg.eigh(matmul(flat.T, flat))
    return matmul(flat, vectors[:, -channels:]).reshape(*features.shape[:2], channels)


def sampled_field(size: tuple[int, int], target: tuple[int, int]) -> Int32[Array, "_ _ 2"]:
    """Rows and columns at a constant rate: (row, column) of the source for each target neuron, int32 [h', w', 2]."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int32), old - 1)
        for old, new in zip(size, target, strict=True)
    )
    return jnp.asarray(np.stack(np.meshgrid(rows, columns, indexing="ij"), -1))


@partial(jax.jit, static_argnames=("target", "size"))
def upsample_field(
    field: Int32[Array, "_ _ 2"], target: tuple[int, int], size: tuple[int, int]
) -> Int32[Array, "_ _ 2"]:
    """A field at twice the resolution: the four neurons below a match are matched one to one.

    Args:
      field: int32 [h, w, 2].
      target: (height, width) of the result; what the coarse field does not reach continues from its last neuron.
      size: (height, width) of the finer source, which clips the places.
    """
    rows, columns = (jnp.arange(n, dtype=jnp.int32) for n in target)
    above, beside = jnp.minimum(rows // 2, field.shape[0] - 1), jnp.minimum(columns // 2, field.shape[1] - 1)
    coarse = field[above[:, None], beside[None, :]]
    shape = (*target, 1)
    offset = jnp.concatenate(
        [
            jnp.broadcast_to((rows - 2 * above)[:, None, None], shape),
            jnp.broadcast_to((columns - 2 * beside)[None, :, None], shape),
        ],
        -1,
    )
    return _inside(2 * coarse + offset, size)


@jax.jit
def gather(values: Shaped[Array, "_ _ c"], field: Int32[Array, "h w 2"]) -> Shaped[Array, "h w c"]:
    """Values [h, w, c] at the places of a field int32 [h', w', 2]; [h', w', c]."""
    return values[field[..., 0], field[..., 1]]


@jax.jit
def match(
    wanted: Float32[Array, "h w c"],
    source: Float32[Array, "_ _ c"],
    field: Int32[Array, "h w 2"],
    reach: Whole,
    key: jax.Array,
) -> Int32[Array, "h w 2"]:
    """PatchMatch from a given field: no match ever gets worse.

    Each round propagates from the four neighbours at distances 4 and 1 (all neurons in parallel, as on
    graphics processors) and tries random places within `reach`, halved from round to round.

    Args:
      wanted: target features, float32 [h', w', c].
      source: float32 [h, w, c].
      field: the correspondences to start from, int32 [h', w', 2].
      reach: how far the random search looks at first, in neurons, int32.
      key: the key that the random search draws from.

    Returns:
      The field of nearest patches found, int32 [h', w', 2].
    """
    size = (source.shape[0], source.shape[1])

    def better(state: tuple[jax.Array, jax.Array], places: jax.Array) -> tuple[jax.Array, jax.Array]:
        field, cost = state
        places = _inside(places, size)
        tried = patch_cost(wanted, source, places)
        less = tried < cost
        return jnp.where(less[..., None], places, field), jnp.where(less, tried, cost)

    def one_candidate(index: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        # One loop over all candidates, so that the patch cost is compiled once.
        turn, kind = index // CANDIDATES, index % CANDIDATES
        field = state[0]
        here = jnp.stack(jnp.meshgrid(*(jnp.arange(n) for n in field.shape[:2]), indexing="ij"), -1).astype(jnp.int32)
        step = jnp.asarray(_NEIGHBOURS, jnp.int32)[kind % 4] * jnp.where(kind < 4, 4, 1)
        neighbour = _inside(here + step[None, None], (field.shape[0], field.shape[1]))
        span = jnp.maximum(1, reach // 2**turn)
        noise = jax.random.randint(jax.random.fold_in(key, turn), field.shape, -span, span + 1)
        moved = gather(field, neighbour) + here - neighbour
        return better(state, jnp.where(kind < CANDIDATES - 1, moved, field + noise))

    start = _inside(field, size)
    return jax.lax.fori_loop(0, ITERATIONS * CANDIDATES, one_candidate, (start, patch_cost(wanted, source, start)))[0]


_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def patch_cost(
    wanted: Float32[Array, "h w c"], source: Float32[Array, "_ _ c"], field: Int32[Array, "h w 2"]
) -> Float32[Array, "h w"]:
    """Summed squared difference of the patch around each target neuron and the one around its match, float32 [h', w'].

    Both are cut at the edges by repeating them.
    """
    size, target = (source.shape[0], source.shape[1]), (wanted.shape[0], wanted.shape[1])
    here = jnp.stack(jnp.meshgrid(*(jnp.arange(n) for n in target), indexing="ij"), -1)

    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        offset = jnp.asarray(_OFFSETS, jnp.int32)[index][None, None]
        near, there = gather(wanted, _inside(here + offset, target)), gather(source, _inside(field + offset, size))
        return total + jnp.sum(jnp.square(near - there), -1)

    return jax.lax.fori_loop(0, len(_OFFSETS), add, jnp.zeros(target, jnp.float32))


@jax.jit
def vote(image: Float32[Array, "_ _ c"], field: Int32[Array, "h w 2"]) -> Float32[Array, "h w c"]:
    """Each pixel as the mean of what the matched patches that overlap it hold there, float32 [h', w', c].

    Args:
      image: float32 [h, w, c].
      field: int32 [h', w', 2].
    """
    size, target = (image.shape[0], image.shape[1]), (field.shape[0], field.shape[1])
    here = jnp.stack(jnp.meshgrid(*(jnp.arange(n) for n in target), indexing="ij"), -1).astype(jnp.int32)

    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        # The patch whose centre lies at an offset says what lies the other way from its match.
        centre = _inside(here + jnp.asarray(_OFFSETS, jnp.int32)[index][None, None], target)
        return total + gather(image, _inside(gather(field, centre) + here - centre, size))

    total = jnp.zeros((*target, image.shape[-1]), jnp.float32)
    return jax.lax.fori_loop(0, len(_OFFSETS), add, total) / len(_OFFSETS)


_OFFSETS = [(dy, dx) for dy in range(-(PATCH // 2), PATCH // 2 + 1) for dx in range(-(PATCH // 2), PATCH // 2 + 1)]


def _inside(places: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Places clipped to a map of (height, width) `size`, int32."""
    rows, columns = jnp.clip(places[..., 0], 0, size[0] - 1), jnp.clip(places[..., 1], 0, size[1] - 1)
    return jnp.stack([rows, columns], -1).astype(jnp.int32)
