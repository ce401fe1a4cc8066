"""The record of a run, ready for JSON: what was done, by which weights, with which versions."""

import dataclasses
import platform
from importlib.metadata import version
from typing import Any

import jax

from dnr_jax.config import RetargetConfig
from dnr_jax.pipeline import Result
from dnr_jax.weights import Weights


def run_record(result: Result, config: RetargetConfig, weights: Weights) -> dict[str, Any]:
    """Everything that happened and everything needed to make it happen again."""
    return {
        **result.record,
        "config": dataclasses.asdict(config),
        "weights": weights.provenance._asdict(),
        "device": jax.devices()[0].device_kind,
        "versions": {
            "python": platform.python_version(),
            **{
                package: version(package)
                for package in ("dnr_jax", "jax", "jaxlib", "flax", "optax", "numpy", "pillow")
            },
        },
    }
