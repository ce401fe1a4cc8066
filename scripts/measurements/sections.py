"""Writes the figures of each kind of measurement as Markdown tables, and chooses what is drawn of them."""

from collections.abc import Mapping, Sequence
from typing import Any

_OTHERS = {
    "torch": "eager PyTorch",
    "torch_compile": "torch.compile",
    "seam_carving": "seam-carving",
    "lqr": "ImageMagick",
}
_STAGES = {
    "end_to_end": "end to end",
    "features": "features of the whole VGG19",
    "seams": "seams",
    "gather": "gather",
    "reconstruct": "the reconstruction",
    "reconstruct_step": "a step of the reconstruction",
    "refine": "the refinement",
    "refine_step": "a step of the refinement",
    "warp": "warp",
    "all_seams": "seams of all levels, by seams alone",
}
_OBJECTS = {"saliency_discard_ratio": "discarded", "object_aspect_distortion": "change of proportions"}
_MEASURES = {
    "semantic_score": ("semantic score, %", 100, 1),
    "bidirectional_similarity": ("bidirectional similarity, lower is better", 1, 0),
    "aspect_ratio_similarity": ("aspect-ratio similarity", 1, 3),
    "seam_discontinuity": ("seam discontinuity, thousandths of a grey level", 1000, 2),
}
_IMPORTANCE = {"auc": "AUC", "shuffled_auc": "shuffled AUC", "lost_75": "lost at 75 %", "lost_50": "lost at 50 %"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Writes rows of cells as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def estimate(value: Sequence[float | None], factor: float = 1, digits: int = 3) -> str:
    """Writes a mean with its interval, where it has one.

    Args:
      value: the mean and the bounds of its interval; None for what is not a number.
      factor: what all of them are multiplied by.
      digits: how many digits to write after the point.
    """
    mean, low, high = (None if number is None else number * factor for number in value[:3])
    if mean is None:
        return "-"
    if low is None or high is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def show_objects(figures: Mapping[str, Any]) -> str:
    """The table of what methods do to outlined objects."""
    rows = [
        [method, *(estimate(means[key]) for key in _OBJECTS)]
        for method, means in sorted(figures["methods"].items(), key=lambda item: item[1]["object_aspect_distortion"][0])
    ]
    return table(["method", *_OBJECTS.values()], rows)


def brief_objects(figures: Mapping[str, Any]) -> str:
    """The table for README of what methods do to outlined objects: means alone, of each operator once."""
    methods = {
        name: means
        for name, means in figures["methods"].items()
        if name.removeprefix("published:") == name or name.removeprefix("published:") not in figures["methods"]
    }
    found = sorted(methods.items(), key=lambda item: item[1]["object_aspect_distortion"][0])
    named = [f"**{method}**" if method == "dnr" else method.removeprefix("published:") for method, _ in found]
    rows = [[title, *(f"{means[key][0]:.2f}" for _, means in found)] for key, title in _OBJECTS.items()]
    return table(["", *named], rows)


def object_bars(figures: Mapping[str, Any]) -> dict[str, float]:
    """The change of objects' proportions by each method, the least first."""
    found = {method: means["object_aspect_distortion"][0] for method, means in figures["methods"].items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def show_quality(figures: Mapping[str, Any]) -> str:
    """The table of measures of whole pictures, with a star where the difference from the first method is sure."""
    rows = []
    for method, means in figures["methods"].items():
        cells = [method]
        for key, (_, factor, digits) in _MEASURES.items():
            sure = figures["differences"].get(method, {}).get(key)
            star = " *" if sure and None not in sure[1:3] and not sure[1] <= 0 <= sure[2] else ""
            cells.append(estimate(means[key], factor, digits) + star)
        rows.append(cells)
    first = next(iter(figures["methods"]))
    star = (
        f"\nA star: the 95 % interval of the difference from {first}, photo by photo, holds no 0. {figures['score']}.\n"
    )
    return table(["method", *(title for title, _, _ in _MEASURES.values())], rows) + star


def show_ratios(figures: Mapping[str, Any]) -> str:
    """The tables of the measures of objects at every aspect."""
    rows = [
        [ratio, method, *(estimate(means[key]) for key in _OBJECTS)]
        for ratio, methods in figures["ratios"].items()
        for method, means in methods.items()
    ]
    return table(["width to height", "method", *_OBJECTS.values()], rows)


def show_speed(figures: Mapping[str, Any]) -> str:
    """The table of ratios of time, stage by stage."""
    stages = {stage: values for stage, values in figures["stages"].items() if stage in _STAGES and values.get("ratio")}
    names = [name for name in _OTHERS if any(name in values["ratio"] for values in stages.values())]
    rows = [
        [_STAGES[stage], *(ratio(stages[stage]["ratio"], name) for name in names)]
        for stage in _STAGES
        if stage in stages
    ]
    size, target = (f"{side[1]}x{side[0]}" for side in (figures["environment"][key] for key in ("size", "target")))
    lines = [table([f"{size} to {target}, VGG19", *(_OTHERS[name] for name in names)], rows)]
    for network in ("vgg19", "embedded"):
        cold = figures["stages"].get(f"cold_start_{network}")
        if cold:
            lines.append(
                f"\nA second process ends its first step after {cold['ratio']['second_process']:.2f} of the first's"
                f" time ({network}), because compiled programs are kept.\n"
            )
    if "peak_gibibytes" in figures:
        lines.append(f"\nPeak memory of a whole process: {figures['peak_gibibytes']:.1f} GiB.\n")
    return "".join(lines)


def brief_speed(figures: Mapping[str, Any]) -> str:
    """The table of ratios for README: a column for each of the stages that say most."""
    stages = [
        stage for stage in ("end_to_end", "reconstruct_step", "features", "all_seams") if stage in figures["stages"]
    ]
    names = [name for name in _OTHERS if any(name in figures["stages"][stage]["ratio"] for stage in stages)]
    rows = [[_OTHERS[name], *(ratio(figures["stages"][stage]["ratio"], name) for stage in stages)] for name in names]
    return table(["", *(_STAGES[stage] for stage in stages)], rows)


def ratio(ratios: Mapping[str, float | None], name: str) -> str:
    """One cell: the ratio of a name, a word that there was no parity, or nothing where nothing was measured."""
    if name not in ratios:
        return ""
    value = ratios[name]
    return "no parity" if value is None else f"{value:.2f}"


def speed_bars(figures: Mapping[str, Any]) -> dict[str, float]:
    """The ratios that say most, by label."""
    bars = {}
    for stage in ("end_to_end", "all_seams"):
        for name, value in figures["stages"].get(stage, {}).get("ratio", {}).items():
            if value is not None:
                bars[f"{_STAGES[stage].split(',')[0]} / {_OTHERS[name]}"] = value
    return bars


def show_near_joints(figures: Mapping[str, Any]) -> str:
    """The table of what optimising near joints alone saves, and how far its pictures are from the others."""
    names = {"everywhere": "dnr_jax, all pixels", "torch": "eager PyTorch, all pixels"}
    rows = [[part, *(f"{ratios[side]:.2f}" for side in names)] for part, ratios in figures["ratio"].items()]
    apart = ", ".join(f"{values['difference']:.2f}" for values in figures["photos"].values())
    return table(["", *names.values()], rows) + f"\nMean grey levels between both ways, by photo: {apart}.\n"


def brief_near_joints(figures: Mapping[str, Any]) -> str:
    """The sentence for README of what the default takes beside PyTorch, which optimises all pixels."""
    whole, part = (figures["ratio"][name]["torch"] for name in ("end to end", "reconstruction"))
    return (
        f"The default optimises only pixels near joints. On real photos ({len(figures['photos'])}, mean) it takes"
        f" {whole:.2f} of the time of eager PyTorch, which optimises all pixels, from end to end, and {part:.2f} for"
        " the reconstruction."
    )


def show_new_size(figures: Mapping[str, Any]) -> str:
    """The table of what sizes cost that were not seen before."""
    rows = [[kind, f"{values['ratio']:.2f}"] for kind, values in figures.items() if kind != "environment"]
    return table(["new size", "time over that of a size seen before"], rows)


def show_cost(figures: Mapping[str, Any]) -> str:
    """The table of seconds per megapixel, by the size of the photo."""
    cost = figures["seconds_per_megapixel"]
    sizes = list(next(iter(cost.values())))
    rows = [
        [_STAGES[name], *(f"{values[size]:.3f}" for size in sizes), f"{figures['largest_over_smallest'][name]:.2f}"]
        for name, values in cost.items()
    ]
    return table(["megapixels", *sizes, "largest over smallest"], rows)


def show_batch(figures: Mapping[str, Any]) -> str:
    """The tables of batch sizes, shards, the long run, and what a million photos would take."""
    speed = figures["speed"]
    rows = [["1, in a loop", f"{speed['loop_photos_a_second']:.3g}", "1"]]
    rows += [
        [str(size), f"{rate:.3g}", f"{speed['times_the_loop'][size]:.2f}"]
        for size, rate in speed["photos_a_second"].items()
    ]
    lines = [table([f"batch of {speed['side']}x{speed['side']}", "photos a second", "times the loop"], rows)]
    for row in figures["shards"]:
        lines.append(
            f"\n{row['shards']} shards of 1,000 entries: the slowest is {row['slowest_to_mean'] - 1:.1%} above the"
            " mean.\n"
        )
    if "long_run" in figures:
        lines.append(
            f"\nPeak memory late in a long run is {figures['long_run']['memory_ratio']:.3f} times that early on.\n"
        )
    for machine in figures["estimates"]:
        lines.append(
            f"\nA million photos of 640x480 on {machine['name']} would take {machine['hours']:.1f} hours: an estimate"
            f" from {machine['assumptions']}; it was never run.\n"
        )
    return "".join(lines)


def show_importance(figures: Mapping[str, Any]) -> str:
    """The table of how well maps rank objects above the rest of the photo."""
    rows = [[label, *(estimate(found[f"{key}_mean"]) for key in _IMPORTANCE)] for label, found in figures.items()]
    return table(["map", *_IMPORTANCE.values()], rows)


def show_detectors(figures: Mapping[str, Any]) -> str:
    """The table of recall and false boxes of the detectors."""
    rows = []
    for title, halves in figures.items():
        cells = [
            f"{count['found'] / max(count['drawn'], 1):.2f} ({count['found']} of {count['drawn']}),"
            f" {count['false'] / max(count['photos'], 1):.2f} false a photo"
            for count in halves.values()
        ]
        rows.append([title, *cells])
    return table(["", *next(iter(figures.values()))], rows)


def show_faces(figures: Mapping[str, Any]) -> str:
    """The table of what methods do to the proportions of faces, by the width that is left."""
    widths = list(next(iter(figures["methods"].values())))
    rows = [
        [method, *(f"{means[width]:.3f}" for width in widths)]
        for method, means in sorted(figures["methods"].items(), key=lambda item: item[1][widths[-1]])
    ]
    lines = table(["method", *(f"{width} % of the width" for width in widths)], rows)
    return f"{lines}\n{figures['faces']} faces on {figures['photos']} photos.\n"
