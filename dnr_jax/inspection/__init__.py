"""Shows every intermediate result of a run as a picture, on one page."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnr_jax.inspection.sections import write_inspection as write_inspection

__all__ = ["write_inspection"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the record needs the table alone.
    if name not in __all__:
        raise AttributeError(f"module 'dnr_jax.inspection' has no attribute {name!r}")
    return getattr(import_module("dnr_jax.inspection.sections"), name)
