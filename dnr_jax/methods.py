"""What `python -m dnr_jax.resize --method=NAME` runs: DNR itself, or one of the operators that it is compared with.

This module imports no JAX until a method runs, so that a command line can be checked before.
"""

import contextlib
import dataclasses
import io
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dnr_jax.baselines import METHODS, Context
from dnr_jax.config import RetargetConfig
from dnr_jax.progress import Progress, Watch
from dnr_jax.shell.flags import network_from_flags
from dnr_jax.shell.progress import ProgressLine

if TYPE_CHECKING:
    import numpy as np

    from dnr_jax.result import Result
    from dnr_jax.weights import Weights

NAMES = ("dnr", *METHODS)
_DNR_ALONE = ("protect", "remove", "inspect_dir")


class Outcome(NamedTuple):
    """What a method made of a photo or of an animation's frames.

    Attributes:
      images: float32 [H', W', 3], or with opacity [H', W', 4], in [0, 255]; one for each frame.
      notes: lines that a person should read.
      record: what happened, ready for JSON.
      result: DNR's result for the first frame; None for the other methods.
    """

    images: list["np.ndarray"]
    notes: list[str]
    record: dict[str, Any]
    result: "Result | None" = None


def describe_methods() -> str:
    """Names every method and says what it is, for a help text."""
    listed = (f"{method.name} ({method.summary})" for method in METHODS.values())
    return f"dnr (this package's own), {', '.join(listed)}"


def check_options(options: dict[str, Any]) -> None:
    """Refuses options that have no effect on the chosen method.

    Args:
      options: the values of the command's flags by name; one that is not given has its default, which is mostly None.

    Raises:
      ValueError: one line with the flag, and what the method does take.
    """
    name = options["method"]
    if name == "dnr":
        return
    method = METHODS[name]
    given = [flag for flag in _DNR_ALONE if options[flag] is not None]
    if options["frames"] != "refuse":
        given.append("frames")
    if options["preset"] != "default":
        given.append("preset")
    if not method.needs_network:
        given += [flag for flag, default in (("weights", "auto"), ("weights_dir", None)) if options[flag] != default]
    fields = (field.name for field in dataclasses.fields(RetargetConfig))
    given += [field for field in fields if options[field] is not None and field not in method.options]
    if given:
        takes = ["weights"] * method.needs_network + list(method.options)
        also = (
            f"besides files and sizes it takes {', '.join(f'--{flag}' for flag in takes)}"
            if takes
            else ("it takes files and sizes only")
        )
        raise ValueError(f"--{given[0]} does not apply to --method={name}: {also}")


def run_method(
    options: dict[str, Any],
    frames: list["np.ndarray"],
    targets: Sequence[tuple[int, int]],
    config: RetargetConfig,
    masks: dict[str, "np.ndarray"],
) -> Iterator[Outcome]:
    """Runs the chosen method for one target after the other, with progress on stderr unless `quiet`.

    Args:
      options: the values of the command's flags by name, which `check_options` has accepted.
      frames: float32 [H, W, 3], or with opacity [H, W, 4], in [0, 255]; all of one size.
      targets: the (height, width) of each outcome.
      config: the options of DNR, some of which other methods use too.
      masks: those that are given of "protect" and "remove", bool [H, W], and "objects", float32 [H, W] in [0, 1].

    Returns:
      An outcome for each target, in order, each as soon as it is computed.

    Raises:
      ValueError: a photo, target or mask that the method cannot work with, or a weights file that is damaged.
      FileNotFoundError: the network's weights are not there.
      FloatingPointError: an optimisation diverged.
    """
    from dnr_jax import compilation_cache

    compilation_cache.enable(programs=True)
    name = options["method"]
    weights = _load(options) if name == "dnr" or METHODS[name].needs_network else None
    with ProgressLine(sys.stderr, quiet=options["quiet"]) as line:
        yield from run_loaded(name, frames, targets, config, masks, weights, line.update)


def run_loaded(
    name: str,
    frames: list["np.ndarray"],
    targets: Sequence[tuple[int, int]],
    config: RetargetConfig,
    masks: dict[str, "np.ndarray"],
    weights: "Weights | None",
    progress: Progress,
    *,
    watch: Watch | None = None,
) -> Iterator[Outcome]:
    """Runs a method whose network is loaded, for one target after the other.

    Args:
      name: one of `NAMES`.
      frames: the photo, or the frames of an animation, as for `run_method`.
      targets: the (height, width) of each outcome.
      config: the options of DNR, some of which other methods use too.
      masks: the masks by name, as for `run_method`; other methods than DNR take none.
      weights: the network, and where it comes from; None for a method that needs none.
      progress: called as the long stages advance.
      watch: called by DNR with a function that draws the image as it forms; other methods do not call it.

    Returns:
      An outcome for each target, in order, each as soon as it is computed.

    Raises:
      ValueError: a photo, target or mask that the method cannot work with.
      FloatingPointError: an optimisation diverged.
    """
    from dnr_jax.record import environment, run_record

    if name == "dnr":
        from dnr_jax.pipeline import retarget_frames_to_all
        from dnr_jax.planning.masks import Masks

        assert weights is not None
        for results in retarget_frames_to_all(
            frames, targets, config, weights, masks=Masks(**masks), progress=progress, watch=watch
        ):
            record = run_record(results[0], config, weights)
            yield Outcome([result.image for result in results], results[0].record["notes"], record, results[0])
        return
    method = METHODS[name]
    context = Context(network=weights.network if weights else None, config=config, progress=progress)
    for target in targets:
        start = time.perf_counter()
        retargeted = method(frames[0], target, context)
        record = {
            "method": method.name,
            "size": frames[0].shape[:2],
            "target_size": target,
            "config": {name: getattr(config, name) for name in method.options},
            "weights": weights.provenance._asdict() if weights else None,
            "seconds": {method.name: round(time.perf_counter() - start, 4)},
            **environment(),
        }
        yield Outcome([retargeted], [], record)


def _load(options: dict[str, Any]) -> "Weights":
    """Loads the network that the flags ask for, without a word on stderr where --quiet is given."""
    from dnr_jax.weights.load import load_chosen

    quieted = contextlib.redirect_stderr(io.StringIO()) if options["quiet"] else contextlib.nullcontext()
    with quieted:
        return load_chosen(network_from_flags(options))
