"""Adam in one compiled loop, for any objective: early stop, rate schedule, every step's loss, snapshots."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float32, Int32

from dnr_jax.arrays import Number
from dnr_jax.programs import program
from dnr_jax.progress import StepProgress

PATIENCE = 10
"""Steps over which the loss must have changed by the tolerance."""
_CAPACITY = 256  # Loss records come in multiples of this, so that other step counts compile nothing.


@runtime_checkable
class Objective(Protocol):
    """A loss to minimise: hashable, so that an equal one does not compile again; all its data are traced."""

    def __call__(self, value: Float32[Array, "..."], data: Any) -> Float32[Array, ""]:
        """The scalar float32 loss at `value`."""
        ...

    def project(self, value: Float32[Array, "*shape"]) -> Float32[Array, "*shape"]:
        """The nearest allowed value."""
        ...

    def __hash__(self) -> int: ...


class Schedule(NamedTuple):
    """How an optimisation runs: most steps, learning rate, whether it falls along a cosine, relative tolerance."""

    steps: int
    rate: Number
    cosine: bool
    tolerance: Number


class Minimum(NamedTuple):
    """Where an optimisation ended.

    Attributes:
      value: the last value.
      losses: float32 [steps + 1] on the host: the loss before each step, then the final one.
      snapshots: (step, value) on the host, on request.
    """

    value: Float32[Array, "*shape"]
    losses: Float32[np.ndarray, " steps"]
    snapshots: list[tuple[int, Float32[np.ndarray, "*shape"]]]

    @property
    def steps(self) -> int:
        """How many steps ran."""
        return len(self.losses) - 1


class _State(NamedTuple):
    value: jax.Array
    adam: optax.OptState
    step: jax.Array
    losses: jax.Array
    running: jax.Array  # whether the losses neither settled nor ceased to be numbers
    judged: jax.Array  # whether the last value's loss is recorded too, which ends it


def minimise(
    objective: Objective,
    start: Float32[Array, "..."],
    data: Any,
    schedule: Schedule,
    *,
    stage: str,
    snapshot_every: int = 0,
    progress: StepProgress | None = None,
    watch: Callable[[jax.Array], None] | None = None,
) -> Minimum:
    """Minimises `objective(value, data)` with Adam from `start` (Kingma and Ba, 2015; beta 0.9 and 0.999).

    Step t has the rate `rate * (1 + cos(pi * t / steps)) / 2`, or `rate`. It stops when the losses of the
    last eleven steps are within `tolerance` of each other, rising or falling.

    Args:
      objective: what to minimise.
      start: float32 array.
      data: pytree passed on to the objective.
      schedule: how many steps, by what rate and tolerance; traced, so that other values compile nothing.
      stage: the name that an error gives.
      snapshot_every: keep the value after every so many steps; 0 keeps none.
      progress: called with (steps done, most steps) about twenty times over the whole.
      watch: called as often with the value as it stands, which the next step consumes.

    Raises:
      FloatingPointError: when a loss is not finite; says at which stage and step.
    """
    state = _start(start, record_capacity(schedule.steps))
    chunk = schedule.steps
    if progress is not None or watch is not None:
        chunk = max(1, schedule.steps // 20)
    snapshots: list[tuple[int, np.ndarray]] = []
    rates = (float(schedule.rate), bool(schedule.cosine), float(schedule.tolerance))
    done = 0
    while True:
        until = min(schedule.steps, done + chunk)
        if snapshot_every:
            until = min(until, done - done % snapshot_every + snapshot_every)
        state = _advance(objective, state, data, until, schedule.steps, *rates)
        done, judged = int(state.step), bool(state.judged)
        losses = np.array(state.losses)[: done + judged]  # A copy: the next steps consume the state.
        _check_finite(losses, stage)
        if snapshot_every and done and done % snapshot_every == 0:
            snapshots.append((done, np.asarray(state.value)))
        if progress is not None and done:
            progress(done, schedule.steps)
        if watch is not None and done:
            watch(state.value)
        if judged:
            return Minimum(state.value, losses, snapshots)


def minimise_traced(
    objective: Objective, start: Float32[Array, "*shape"], data: Any, schedule: Schedule
) -> tuple[Float32[Array, "*shape"], Float32[Array, " capacity"], Int32[Array, ""]]:
    """`minimise` inside a compiled program, for `jax.vmap`: each member of a batch stops where it would alone.

    Args:
      objective: what to minimise.
      start: float32 array.
      data: pytree passed on to the objective.
      schedule: `steps` is a Python number; the others may be traced.

    Returns:
      The last value; float32 [capacity > steps] with the loss before each step and then the final one, infinite past
      that; int32, how many steps ran. A loss that is not finite ends it and shows in the record.
    """
    state = _start(start, record_capacity(schedule.steps))
    state = _advance(
        objective, state, data, schedule.steps, schedule.steps, schedule.rate, schedule.cosine, schedule.tolerance
    )
    return state.value, state.losses, state.step


def record_capacity(steps: int) -> int:
    """The length of the record of losses of at most so many steps."""
    return _CAPACITY * (steps // _CAPACITY + 1)


@program(static_argnames=("capacity",))
def _start(value: jax.Array, capacity: int) -> _State:
    losses = jnp.full((capacity,), jnp.inf, jnp.float32)
    # A copy, because _advance consumes its state's buffers and the caller keeps its own.
    adam = optax.scale_by_adam().init(value)
    return _State(jnp.copy(value), adam, jnp.int32(0), losses, jnp.asarray(True), jnp.asarray(False))


@program(static_argnames=("objective",), donate_argnames=("state",))
def _advance(
    objective: Objective,
    state: _State,
    data: Any,
    until: jax.Array,
    steps: jax.Array,
    rate: jax.Array,
    cosine: jax.Array,
    tolerance: jax.Array,
) -> _State:
    """Steps as far as `until`; after the last one of all, a turn of the loop that takes none records the final loss.

    That costs one gradient more than a program for the loss alone, which would take as long to compile as some steps.
    """

    def is_over(state: _State) -> jax.Array:
        return (state.step >= steps) | ~state.running

    def wanted(state: _State) -> jax.Array:
        return jnp.where(is_over(state), ~state.judged, state.step < until)

    def step(state: _State) -> _State:
        over = is_over(state)
        loss, gradient = jax.value_and_grad(objective)(state.value, data)
        with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to the count of steps, a whole number.
            direction, adam = optax.scale_by_adam().update(gradient, state.adam)
        assert isinstance(direction, jax.Array)
        done = state.step.astype(jnp.float32) / jnp.asarray(steps, jnp.float32)
        falling = jnp.where(cosine, 0.5 * (1 + jnp.cos(jnp.pi * done)), 1)
        value = jnp.where(over, state.value, objective.project(state.value - rate * falling * direction))
        losses = state.losses.at[state.step].set(loss)
        recent = lax.dynamic_slice(losses, (jnp.maximum(state.step - PATIENCE, 0),), (PATIENCE + 1,))
        # Both ways, because Adam's first steps may overshoot: a loss that rises on its way down has not settled.
        settled = jnp.max(recent) - jnp.min(recent) <= tolerance * jnp.max(recent)
        stalled = (state.step >= PATIENCE) & (tolerance > 0) & settled
        running = state.running & ~stalled & jnp.isfinite(loss)
        return _State(value, adam, jnp.where(over, state.step, state.step + 1), losses, running, over)

    return lax.while_loop(wanted, step, state)


def _check_finite(losses: np.ndarray, stage: str) -> None:
    if not np.isfinite(losses).all():
        step = int(np.flatnonzero(~np.isfinite(losses))[0])
        raise FloatingPointError(f"the loss of the {stage} is {losses[step]} at step {step}: lower its learning rate")
