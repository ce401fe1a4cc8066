"""The figures that compare: 16 (DeepIR), 17 and 18 (all operators), 19 (extreme sizes) and 21 (the threshold)."""

import numpy as np

from dnr_jax.baselines import METHODS
from dnr_jax.inspection.table import show_size
from figures.layout import Panel, Sheet
from figures.runs import Studio

PER_ROW = 5


def figure_16(studio: Studio) -> Sheet:
    """Figure 16: half of the width by sampled deep columns, and by DNR with alpha 0.2 and the 35th percentile."""
    result = studio.dnr(0.5, studio.config(alpha=0.2, importance_percentile=35.0))
    panels = [
        Panel(studio.photo, "input"),
        Panel(studio.operator("deepir", 0.5), f"deepir: {METHODS['deepir'].summary}"),
        Panel(result.image, "dnr, alpha 0.2, percentile 35"),
    ]
    return Sheet("Figure 16: 50 % of the width, beside columns sampled evenly", [panels])


def figure_17(studio: Studio) -> Sheet:
    """Figure 17: three quarters of the width by every operator."""
    return _beside(studio, 0.75, "Figure 17")


def figure_18(studio: Studio) -> Sheet:
    """Figure 18: half of the width by every operator."""
    return _beside(studio, 0.5, "Figure 18")


def figure_19(studio: Studio) -> Sheet:
    """Figure 19: 50, 40 and 30 % of the width by scaling, seam carving and DNR."""
    shares = (0.5, 0.4, 0.3)
    rows = [[Panel(studio.photo, "input")]]
    for name in ("scl", "sc_forward", "dnr"):
        row = []
        for share in shares:
            image = _dnr(studio, share) if name == "dnr" else studio.operator(name, share)
            row.append(Panel(image, f"{name}, {share:.0%}"))
        rows.append(row)
    return Sheet("Figure 19: extreme sizes", rows)


def figure_21(studio: Studio) -> Sheet:
    """Figure 21: half of the width with the paper's percentile, with seams alone, and with the choice for the photo."""
    panels = [Panel(studio.photo, "input")]
    for percentile in (20.0, 100.0, "auto"):
        result = studio.dnr(0.5, studio.config(importance_percentile=percentile))
        middle = show_size(result.record["intermediate_size"])
        label = percentile if isinstance(percentile, str) else f"percentile {percentile:g}"
        panels.append(Panel(result.image, f"{label}: seams to {middle}, then the warp"))
    return Sheet("Figure 21: the threshold between seams and warp, 50 % of the width", [panels])


def _beside(studio: Studio, share: float, name: str) -> Sheet:
    panels = [Panel(studio.photo, "input")]
    panels += [
        Panel(studio.operator(method.name, share), f"{method.name}: {method.summary}") for method in METHODS.values()
    ]
    panels.append(Panel(_dnr(studio, share), "dnr"))
    rows = [panels[first : first + PER_ROW] for first in range(0, len(panels), PER_ROW)]
    return Sheet(f"{name}: {share:.0%} of the width by each operator", rows)


def _dnr(studio: Studio, share: float) -> np.ndarray:
    return studio.dnr(share, studio.config()).image
