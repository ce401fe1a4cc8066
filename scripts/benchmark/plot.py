# pyright: reportMissingImports=false
"""Draws the figures of the benchmark."""

from pathlib import Path
from typing import Any


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draws ratios as bars, or cost per megapixel as lines, to a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    if "seconds_per_megapixel" in figures:
        for name, values in figures["seconds_per_megapixel"].items():
            smallest = min(values.values())
            axes.plot([float(n) for n in values], [s / smallest for s in values.values()], "o-", label=name)
        axes.set(xlabel="megapixels", ylabel="time per megapixel, over the least", xscale="log", ylim=(0, None))
    else:
        stages = {stage: values["ratio"] for stage, values in figures["stages"].items() if values.get("ratio")}
        names = list(dict.fromkeys(name for ratios in stages.values() for name in ratios))
        for number, name in enumerate(names):
            places = [place for place, ratios in enumerate(stages.values()) if ratios.get(name) is not None]
            heights = [ratios[name] for ratios in stages.values() if ratios.get(name) is not None]
            axes.bar([place + 0.8 * number / len(names) for place in places], heights, 0.8 / len(names), label=name)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set(ylabel="dnr_jax's time over the other's", yscale="log")
        axes.set_xticks(range(len(stages)), list(stages), rotation=30, ha="right")
    axes.legend()
    figure.savefig(path, format="png", dpi=120)
    pyplot.close(figure)
