"""The training loop: one step is compiled for each crop size; an interrupted run resumes to exactly the same result."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnr_jax.atomic import write_atomically
from training.data import Dataset, draw_batch, whole_photo
from training.model import TAPS, forward, loss_of, normalised
from training.pseudo_labels import agreement
from training.recipe import Recipe

VALIDATION_SIDE = 256
VALIDATION_PHOTOS = 40
VALIDATION_BATCH = 8


class State(NamedTuple):
    """Everything that a step reads and changes, besides its batch."""

    params: Any
    average: Any
    optimiser: Any


class Record(NamedTuple):
    """One line of a run's history: its step, the mean training loss since the last line, and held-out correlation."""

    step: int
    loss: float
    correlation: float


def optimiser_of(recipe: Recipe) -> optax.GradientTransformation:
    """The optimiser of a recipe: AdamW whose decay is for kernels alone, with clipped gradients.

    Gradients are clipped to norm 1; the rate warms up, and then falls to 0 along half a cosine.
    """
    warm_up = min(recipe.warm_up, max(1, recipe.steps // 4))
    schedule = optax.warmup_cosine_decay_schedule(0.0, recipe.rate, warm_up, max(recipe.steps, warm_up + 1))

    def kernels(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)

    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=recipe.decay, mask=kernels))


def first_state(recipe: Recipe, seed: int) -> State:
    """The state before the first step."""
    network = normalised(recipe)
    params = jax.jit(lambda key: network.init(key, jnp.zeros((1, 64, 64, 3)), TAPS))(jax.random.key(seed))["params"]
    return State(params, jax.tree.map(jnp.copy, params), optimiser_of(recipe).init(params))


def make_step(recipe: Recipe) -> Callable[..., tuple[State, jax.Array]]:
    """The compiled function of one step: from state, step number and batch to the next state and the loss."""
    network, optimiser = normalised(recipe), optimiser_of(recipe)

    def objective(params: Any, images: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return loss_of(forward(network, params, images)[0], targets, weights)

    def step(state: State, count: jax.Array, images: jax.Array, targets: jax.Array, weights: jax.Array):
        loss, slopes = jax.value_and_grad(objective)(state.params, images, targets, weights)
        with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to the count of steps, a whole number.
            updates, optimiser_state = optimiser.update(slopes, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.minimum(recipe.average, count / (count + 10.0))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
        return State(params, average, optimiser_state), loss

    return jax.jit(step, donate_argnums=0)


def draw_step(dataset: Dataset, recipe: Recipe, seed: int, step: int):
    """Draws the batch of a step, which depends on nothing but the arguments, so that a resumed run sees the same."""
    rng = np.random.default_rng([seed, step])
    i = rng.choice(len(recipe.sides), p=recipe.chances)
    return draw_batch(dataset.training, recipe.batches[i], recipe.sides[i], recipe.least_area, rng)


def train(
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    save_every: int = 100,
    stop_after: int | None = None,
) -> tuple[State, list[Record]]:
    """Trains from the checkpoint, where there is one, to the last step.

    Args:
      dataset: the examples.
      recipe: what is trained, and how.
      seed: the seed of the run.
      checkpoint: the file that the state is saved in.
      progress: called as steps are done; None for nobody.
      save_every: after how many steps the state is saved again.
      stop_after: the step after which to leave, as an interrupt would; None to go on to the last.

    Returns:
      The last state, and the history.

    Raises:
      ValueError: the checkpoint belongs to another run.
      FloatingPointError: the loss is not finite.
    """
    identity = repr((recipe, seed, dataset.digest))
    state, history, done = load_checkpoint(checkpoint, first_state(recipe, seed), identity)
    step, norm_of, losses = make_step(recipe), batch_norms(recipe), []
    last = recipe.steps if stop_after is None else min(stop_after, recipe.steps)
    for i in range(done, last):
        state, loss = step(state, jnp.float32(i), *draw_step(dataset, recipe, seed, i))
        losses.append(float(loss))
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} at step {i + 1}: try another seed or a lower rate")
        if progress is not None:
            progress("training", i + 1, recipe.steps)
        if (i + 1) % save_every == 0 or i + 1 == last:
            history.append(
                Record(i + 1, float(np.mean(losses)), held_out_correlation(dataset, partial(norm_of, state)))
            )
            losses = []
            save_checkpoint(checkpoint, state, history, i + 1, identity)
    return state, history


def settle_statistics(
    state: State,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> Any:
    """The batch-norm statistics of the averaged weights: their mean over `statistics_batches` fresh batches."""
    network = normalised(recipe)
    gather = jax.jit(lambda params, images: forward(network, params, images)[1])
    total, count = None, recipe.statistics_batches
    for i in range(count):
        found = gather(state.average, draw_step(dataset, recipe, seed, recipe.steps + i).images)
        total = found if total is None else jax.tree.map(jnp.add, total, found)
        if progress is not None:
            progress("statistics", i + 1, count)
    return jax.tree.map(lambda x: x / count, total)


def batch_norms(recipe: Recipe) -> Callable[[State, np.ndarray], jax.Array]:
    """A function from state and images to block5_pool's norm by the averaged weights and the images' own statistics."""
    network = normalised(recipe)
    compiled = jax.jit(lambda params, images: forward(network, params, images)[0][-1])
    return lambda state, images: compiled(state.average, images)


def held_out_correlation(dataset: Dataset, norm_of: Callable[[np.ndarray], jax.Array]) -> float:
    """The mean correlation of block5_pool's norm with the target over held-out photos.

    They are taken in batches of `VALIDATION_BATCH`; where there are fewer, the result is not a number.
    """
    found = []
    examples = dataset.validation[:VALIDATION_PHOTOS]
    for start in range(0, len(examples) - VALIDATION_BATCH + 1, VALIDATION_BATCH):
        pairs = [whole_photo(example, VALIDATION_SIDE) for example in examples[start : start + VALIDATION_BATCH]]
        maps = np.asarray(norm_of(np.stack([image for image, _ in pairs])))
        for n, (_, target) in zip(maps, pairs, strict=True):
            cell = VALIDATION_SIDE // n.shape[0]
            t = target.reshape(n.shape[0], cell, n.shape[1], cell).mean((1, 3))
            found.append(agreement(n, t))
    return float(np.mean(found)) if found else float("nan")


def save_checkpoint(path: Path, state: State, history: list[Record], done: int, identity: str) -> None:
    """Writes the state after `done` steps; `identity` says which run it belongs to."""
    arrays = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    summary = json.dumps({"done": done, "identity": identity, "history": history})
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, summary=np.frombuffer(summary.encode(), np.uint8), **arrays)
    write_atomically(path, stream.getvalue())


def load_checkpoint(path: Path, start: State, identity: str) -> tuple[State, list[Record], int]:
    """Reads what `save_checkpoint` wrote.

    Returns:
      The state, the history, and how many steps are done; `start`, nothing and 0 where there is no checkpoint.

    Raises:
      ValueError: the checkpoint belongs to another run.
    """
    if not path.is_file():
        return start, [], 0
    with np.load(path, allow_pickle=False) as file:
        summary = json.loads(file["summary"].tobytes())
        if summary["identity"] != identity:
            raise ValueError(f"{path} belongs to a run with another recipe, seed or photos: delete it or name another")
        leaves = [jnp.asarray(file[f"leaf{i}"]) for i in range(len(jax.tree.leaves(start)))]
    state = jax.tree.unflatten(jax.tree.structure(start), leaves)
    return state, [Record(*record) for record in summary["history"]], summary["done"]
