"""The figures that show maps and seams: 4 (importance by layer), 6 (one layer or the hierarchy) and 9 (energy maps)."""

import jax.numpy as jnp
import numpy as np

from dnr_jax.baselines.seam_carving import gradient_energy
from dnr_jax.config import DEFAULT_TAPS
from dnr_jax.inspection.drawing import colour_map, draw_seams, spread
from dnr_jax.inspection.sections import effective_map
from dnr_jax.networks.taps import Level
from dnr_jax.photos.luma import luma
from figures.layout import Panel, Sheet
from figures.runs import THREE_TAPS, Studio


def figure_4(studio: Studio) -> Sheet:
    """Figure 4: the importance (Eq. 1) of every default tap."""
    panels = [Panel(studio.photo, "input")]
    for tap, values in zip(DEFAULT_TAPS, studio.importance(DEFAULT_TAPS), strict=True):
        panels.append(Panel(map_picture(np.asarray(values), tap, studio.size), tap))
    return Sheet("Figure 4: importance by layer (Eq. 1), low in blue, high in yellow", [panels[:3], panels[3:]])


def figure_6(studio: Studio) -> Sheet:
    """Figure 6: seams found through three layers, and through the first alone; both are taken from the pixels."""
    rows = []
    for label, taps in (("(a) hierarchical", THREE_TAPS), ("(b) one layer", THREE_TAPS[:1])):
        config = studio.config(taps=taps, importance_percentile=100.0)
        plan = studio.plan(0.75, config)
        drawn = studio.photo
        for step in plan.passes:
            seams = step.carving.levels[0]
            order = np.asarray(seams.order)
            drawn = draw_seams(drawn, np.where(order < int(seams.removed), order, -1), 1)
        rows.append(
            [
                Panel(studio.photo, "input"),
                Panel(drawn, f"{label}: seams of {', '.join(taps)}, first red, last yellow"),
                Panel(studio.carved(plan, config), f"{label}: what they leave, 75 % of the width"),
            ]
        )
    return Sheet("Figure 6: seams through the hierarchy and through its first layer alone", rows)


def figure_9(studio: Studio) -> Sheet:
    """Figure 9: the energy of seam carving beside the effective importance of DNR's seams."""
    config = studio.config()
    plan = studio.plan(0.75, config)
    gradient = np.asarray(gradient_energy(jnp.asarray(luma(studio.photo.astype(np.float32)))))
    guided = tuple(np.asarray(values) for values in plan.passes[0].carving.guided)
    effective = effective_map(guided, config.taps, studio.size)
    panels = [
        Panel(studio.photo, "(a) input"),
        Panel(colour_map(gradient), "(b) gradient energy (Avidan and Shamir)"),
        Panel(colour_map(effective), "(c) effective importance of the deep seams, 75 % of the width"),
    ]
    return Sheet("Figure 9: importance as seen by seam carving and by deep seam carving", [panels])


def map_picture(values: np.ndarray, tap: str, size: tuple[int, int]) -> np.ndarray:
    """The map of a tap in colour, at the (height, width) `size` of the image that it belongs to."""
    return spread(colour_map(values), Level(tap).stride, size)
