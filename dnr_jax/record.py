"""The record of a run, ready for JSON: what was done, by which weights, with which versions."""

import dataclasses
import math
import platform
from importlib.metadata import version
from typing import Any

import jax

from dnr_jax.config import RetargetConfig
from dnr_jax.inspection.table import stop_reason
from dnr_jax.result import Result
from dnr_jax.weights import Weights


def run_record(result: Result, config: RetargetConfig, weights: Weights) -> dict[str, Any]:
    """Everything that happened in a run, and everything needed to repeat it.

    An infinite threshold (importance_percentile 100) is None, because JSON has no infinity.

    Args:
      result: what `retarget` returned.
      config: the options that it was called with.
      weights: the network that it was called with, and where that comes from.

    Returns:
      Values for JSON: those of `Result.record`, and the method, options, weights, seed, device and versions.
    """
    config = config.resolve(result.record["size"])
    threshold = result.record["importance_threshold"]
    passes = [{**step, "why_stopped": stop_reason(step, threshold, config)} for step in result.record["passes"]]
    return {
        "method": "dnr",
        **result.record,
        "importance_threshold": threshold if math.isfinite(threshold) else None,
        "passes": passes,
        "config": dataclasses.asdict(config),
        "weights": weights.provenance._asdict(),
        "seed": config.seed,
        **environment(),
    }


def environment() -> dict[str, Any]:
    """The device and the versions of packages that a run depends on, as values for JSON."""
    packages = ("dnr_jax", "jax", "jaxlib", "flax", "optax", "numpy", "pillow")
    return {
        "device": jax.devices()[0].device_kind,
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
    }
