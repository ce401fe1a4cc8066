"""Options that tests start from."""

from typing import Any

from dnr_jax.config import PAPER_GEOMETRY, RetargetConfig


def paper_config(**options: Any) -> RetargetConfig:
    """The default options but for seams and warp, which are the paper's: no salience, percentile 20, the grid warp."""
    return RetargetConfig(**{**PAPER_GEOMETRY, **options})
