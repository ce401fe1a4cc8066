"""Content-aware image resizing by reconstruction from deep features (DNR), in JAX and Flax."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dnr_jax.xla_faults import keep_out

if TYPE_CHECKING:
    from dnr_jax.config import RetargetConfig as RetargetConfig
    from dnr_jax.config import preset_config as preset_config
    from dnr_jax.pipeline import retarget as retarget
    from dnr_jax.pipeline import retarget_frames as retarget_frames
    from dnr_jax.pipeline import retarget_frames_to_all as retarget_frames_to_all
    from dnr_jax.pipeline import retarget_to_all as retarget_to_all
    from dnr_jax.planning.masks import Masks as Masks
    from dnr_jax.result import Result as Result
    from dnr_jax.weights import Weights as Weights
    from dnr_jax.weights import load_weights as load_weights

_HOMES = {
    "RetargetConfig": "config",
    "preset_config": "config",
    "Masks": "planning.masks",
    "Result": "result",
    "retarget": "pipeline",
    "retarget_frames": "pipeline",
    "retarget_frames_to_all": "pipeline",
    "retarget_to_all": "pipeline",
    "Weights": "weights",
    "load_weights": "weights",
}
__all__ = [
    "Masks",
    "Result",
    "RetargetConfig",
    "Weights",
    "load_weights",
    "preset_config",
    "retarget",
    "retarget_frames",
    "retarget_frames_to_all",
    "retarget_to_all",
]

keep_out()


def __getattr__(name: str) -> Any:
    # Imported on first use, so that checking a command line does not wait for JAX.
    if name not in _HOMES:
        raise AttributeError(f"module 'dnr_jax' has no attribute {name!r}")
    return getattr(import_module(f"dnr_jax.{_HOMES[name]}"), name)
