"""Every option of the method, its default and its meaning: one frozen dataclass, validated when it is made.

Each field's metadata holds the help text; the command line makes its flags from these fields. This module imports
nothing heavy, so that flags can be checked before JAX is.
"""

import dataclasses
import itertools
import math
from typing import Any, Literal

from dnr_jax.networks.taps import DEFAULT_TAPS, AutomaticTaps, Level, check_tap, levels_of, tap_depth

KEPT = ("objects", "faces", "words")
"""What `objects=auto` can look for."""


def _option(default: Any, help_text: str, *choices: str, word: str | None = None) -> Any:
    """A field; `choices` are all that it may be, `word` is what it may be besides a number."""
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices, "word": word})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetargetConfig:
    """The options of `retarget`. Not all defaults are the paper's (Sec. 4), which `preset_config("paper")` has.

    Raises:
      ValueError: when an option is out of range or contradicts another; the message names the option and the remedy.

    Example:
      >>> RetargetConfig(alpha=0.2).importance_percentile
      'auto'
      >>> RetargetConfig(alpha=1.0)
      Traceback (most recent call last):
      ValueError: alpha is 1.0: it must be from 0 to below 1
    """

    taps: tuple[str, ...] = _option(
        AutomaticTaps(DEFAULT_TAPS),
        "Feature maps to carve, shallow to deep, by Keras layer name (post-ReLU convolutions or pools). auto:"
        f" {','.join(DEFAULT_TAPS)}, without those whose neurons span more pixels than a small photo has.",
    )
    importance_percentile: float | Literal["auto"] = _option(
        "auto",
        "q: at the deepest tap a seam goes only while its mean importance is at most this percentile of the map; what"
        " is left to remove is done by the warp. 0: one deep seam; 20: the paper's; 100: seams alone, no warp; auto: as"
        " many seams, or none, as do least damage together with the warp that follows.",
        word="auto",
    )
    alpha: float = _option(
        0.5, "Factor in [0, 1) on a level's importance where the next deeper level lost a seam (Eq. 2)."
    )
    centre_prior: float = _option(
        0.0,
        "How much a photo's centre counts beyond what the network sees there: every map of importance is weighted by"
        " 1 - p + p times a Gaussian at the centre. 0: not at all; below 1.",
    )
    objects: str = _option(
        "auto",
        "What counts as an object in every map of importance and in the warp: what small networks see (auto; keep says"
        " of what kind), or nothing beyond the feature network itself (none).",
        "auto",
        "none",
    )
    keep: tuple[str, ...] = _option(
        KEPT,
        "What objects=auto looks for: what a salience network sees (objects), faces, words; any of them. A face keeps"
        " its proportions before anything else does.",
    )
    object_weight: float = _option(1.0, "How much of what the salience network sees counts, from 0 to 1.")
    face_weight: float = _option(1.0, "How much more than an object a face counts, from 0 (nothing at all) to 1.")
    word_weight: float = _option(0.6, "How much words count beside objects, from 0 to 1.")
    region: str = _option(
        "projected",
        "Where a removed deep neuron guides the finer level: the block of neurons that pool onto it, or its whole"
        " theoretical receptive field.",
        "projected",
        "receptive",
    )
    init: str = _option(
        "seam",
        "Image that the reconstruction starts from: the seam-carved photo, the uniformly scaled photo, or noise.",
        "seam",
        "linear",
        "noise",
    )
    optimise: str = _option(
        "joints",
        "Which pixels the reconstruction and the refinement may change: those near places where seams joined what was"
        " apart (joints), or all (everywhere). Any init but seam needs all of them, and takes them.",
        "joints",
        "everywhere",
    )
    tones: str = _option(
        "match",
        "Where a mask removed something: bring the tones of what then meets together, so that no step shows in a sky"
        " (match), or leave every pixel as it was (keep).",
        "match",
        "keep",
    )
    loss: str = _option(
        "norm", "Feature loss per tap: the L2 norm of the difference (Eq. 4), or its square.", "norm", "squared"
    )
    loss_weights: tuple[float, ...] = _option(
        (1.0,), "lambda of Eq. 4 for each tap in order; taps not listed have 0 and are not evaluated."
    )
    reconstruct_steps: int = _option(40, "Most Adam steps of the reconstruction (Sec. 3.2).")
    reconstruct_rate: float = _option(4.0, "Adam learning rate of the reconstruction, in grey levels a step.")
    refine_steps: int = _option(20, "Most Adam steps of the grid-sampler refinement (Sec. 3.3); 0 leaves it out.")
    refine_rate: float = _option(0.01, "Adam learning rate of the refinement, in pixels a step.")
    rate_schedule: str = _option(
        "cosine", "Learning rate over the steps: falling to 0 along a half cosine, or constant.", "cosine", "constant"
    )
    tolerance: float = _option(
        1e-3, "An optimisation stops early once ten steps changed its loss by no more than this share of it; 0: never."
    )
    warp: str = _option(
        "proportional",
        "What brings the photo from where the seams stop to the target: crop, bounded squeeze of plain columns and rows"
        " that follow (proportional), so that objects keep their proportions; or the paper's grid (Eq. 3).",
        "proportional",
        "grid",
    )
    most_crop: float = _option(
        0.7,
        "How much of what a side loses may be cropped from its borders by the proportional warp, where nothing stands"
        " out or a face would get thin; 0 forbids it.",
    )
    warp_cell: int = _option(16, "Width of the grid warp's cells in pixels (w_G, Sec. 4).")
    snapshot_every: int = _option(0, "Keep the image after every so many reconstruction steps; 0 keeps none.")
    seed: int = _option(0, "Seed of the noise that init=noise starts from.")
    seam_kernel: str = _option(
        "auto",
        "What finds the seams, always the same ones: plain XLA (scan), or one GPU kernel a map (pallas; off a GPU it is"
        " interpreted, slowly). auto is scan until the kernel is measured to be ten times as fast; with masks all"
        " are.",
        "auto",
        "scan",
        "pallas",
    )
    precision: str = _option(
        "float32",
        "Precision of the inputs of the network's convolutions; sums, images, losses and optimiser stay in float32.",
        "float32",
        "tensorfloat32",
        "bfloat16",
    )

    def __post_init__(self) -> None:
        if self.taps in ("auto", ("auto",)):
            object.__setattr__(self, "taps", AutomaticTaps(DEFAULT_TAPS))
        _check_types(self)
        _check_taps(self)
        _check_loss_weights(self)
        _check_kept(self)
        for field in dataclasses.fields(self):
            choices = field.metadata["choices"]
            if choices and getattr(self, field.name) not in choices:
                raise ValueError(f"{field.name} is {getattr(self, field.name)!r}: choose {' or '.join(choices)}")
        if self.importance_percentile != "auto":
            _check_range(self, "importance_percentile", 0, 100)
        _check_range(self, "alpha", 0, 1, open_above=True)
        _check_range(self, "centre_prior", 0, 1, open_above=True)
        _check_range(self, "tolerance", 0, 1, open_above=True)
        for name in ("most_crop", "object_weight", "face_weight", "word_weight"):
            _check_range(self, name, 0, 1)
        for name in ("reconstruct_steps", "refine_steps", "snapshot_every"):
            _check_range(self, name, 0, 100_000)
        _check_range(self, "warp_cell", 1, 100_000)
        _check_range(self, "seed", 0, 2**32 - 1)
        for name in ("reconstruct_rate", "refine_rate"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}: give a positive number")

    def resolve(self, size: tuple[int, int]) -> "RetargetConfig":
        """The config for a photo of (height, width) `size`: with `taps=auto` only the taps that fit it.

        Loss weights of taps that are left out go with them; if no other is above 0, the deepest tap that is left gets
        the first of them. Taps given by name stay.

        Example:
          >>> RetargetConfig().resolve((20, 300)).taps[-1], RetargetConfig().resolve((600, 800)).taps[-1]
          ('block4_conv4', 'block5_pool')
        """
        if not isinstance(self.taps, AutomaticTaps):
            return self
        taps = self.taps.for_photo(size)
        weights = self.loss_weights[: len(taps)]
        if not any(weights):
            weights = (*(0.0,) * (len(taps) - 1), self.positive_loss_weights[0])
        return dataclasses.replace(self, taps=taps, loss_weights=weights)

    @property
    def tap_notes(self) -> list[str]:
        """One line where `resolve` left taps out; else nothing."""
        if not isinstance(self.taps, AutomaticTaps) or len(self.taps) == len(DEFAULT_TAPS):
            return []
        return [f"the photo is too small for {', '.join(DEFAULT_TAPS[len(self.taps) :])}: without them (taps=auto)"]

    @property
    def levels(self) -> tuple[Level, ...]:
        """The taps with their strides and sizes, shallow to deep."""
        return levels_of(self.taps)

    @property
    def full_resolution(self) -> bool:
        """Whether the first level has a neuron for every pixel, so that its seams can be taken from the photo."""
        return self.levels[0].stride == 1

    @property
    def loss_taps(self) -> tuple[str, ...]:
        """The taps with a loss weight above 0, shallow to deep: the only ones a loss evaluates."""
        return tuple(tap for tap, weight in zip(self.taps, self.loss_weights, strict=False) if weight > 0)

    @property
    def crop_share(self) -> float:
        """How much of what a side loses may be cropped by the warp that is chosen; the grid warp crops nothing."""
        return self.most_crop if self.warp == "proportional" else 0.0

    @property
    def positive_loss_weights(self) -> tuple[float, ...]:
        """The loss weights that belong to `loss_taps`."""
        return tuple(weight for weight in self.loss_weights if weight > 0)


def _check_types(config: RetargetConfig) -> None:
    for field in dataclasses.fields(config):
        value, word = getattr(config, field.name), field.metadata["word"]
        if word is not None and value == word:
            continue
        kind = float if word is not None else next(kind for kind in _KINDS if isinstance(field.default, kind))
        allowed = (int, float) if kind is float else kind
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise ValueError(f"{field.name} is {value!r}: give {_KINDS[kind]}{f' or {word}' if word else ''}")


_KINDS = {int: "a whole number", float: "a number", str: "text", tuple: "a tuple"}


def _check_taps(config: RetargetConfig) -> None:
    if not config.taps:
        raise ValueError("taps is empty: name at least one layer, for instance block1_conv2, or give auto")
    depths = [tap_depth(check_tap(tap)) for tap in config.taps]
    if any(a >= b for a, b in itertools.pairwise(depths)):
        raise ValueError(f"taps must run from shallow to deep, each once: {', '.join(config.taps)}")
    if config.init == "seam" and not config.full_resolution:
        raise ValueError(f"init=seam needs a full-resolution tap first, not {config.taps[0]}: add block1_conv2")


def _check_loss_weights(config: RetargetConfig) -> None:
    weights = config.loss_weights
    if len(weights) > len(config.taps):
        raise ValueError(f"loss_weights has {len(weights)} values for {len(config.taps)} taps: give at most one each")
    if any(not math.isfinite(w) or w < 0 for w in weights) or not any(weights):
        raise ValueError(f"loss_weights is {weights}: give numbers of 0 or more, at least one above 0")


def _check_kept(config: RetargetConfig) -> None:
    if not config.keep:
        raise ValueError(f"keep is empty: name any of {', '.join(KEPT)}, or give objects=none")
    for name in config.keep:
        if name not in KEPT:
            raise ValueError(f"keep names {name!r}: choose any of {', '.join(KEPT)}")
    # In one order, so that equal options are equal.
    object.__setattr__(config, "keep", tuple(name for name in KEPT if name in config.keep))


def _check_range(config: RetargetConfig, name: str, low: float, high: float, *, open_above: bool = False) -> None:
    value = getattr(config, name)
    if not (low <= value < high if open_above else low <= value <= high):
        raise ValueError(f"{name} is {value}: it must be from {low} to {'below ' if open_above else ''}{high}")


PAPER_GEOMETRY: dict[str, Any] = {"importance_percentile": 20.0, "objects": "none", "warp": "grid"}
"""Seams and warp as the paper has them: no other prior than the network's own features, and Eq. 3 alone."""

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        **PAPER_GEOMETRY,
        "init": "linear",
        "optimise": "everywhere",
        "tones": "keep",
        "reconstruct_steps": 300,
        "reconstruct_rate": 4.0,
        "rate_schedule": "constant",
        "refine_steps": 100,
        "tolerance": 0.0,
    },
    "fast": {"reconstruct_steps": 20, "refine_steps": 8},
}
"""Named sets of options; what a preset does not name has its default."""


def preset_config(preset: str, **options: Any) -> RetargetConfig:
    """The config of a preset, with `options` in place of the preset's.

    Raises:
      ValueError: for an unknown preset or an invalid option.

    Example:
      >>> preset_config("paper", alpha=0.2).init
      'linear'
    """
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}: choose {' or '.join(PRESETS)}")
    return RetargetConfig(**{**PRESETS[preset], **options})
