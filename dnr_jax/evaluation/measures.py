"""The measures of a comparison, all of them with one network as the judge."""

import dataclasses
import hashlib
from typing import NamedTuple

import jax
import numpy as np

from dnr_jax import metrics
from dnr_jax.config import DEFAULT_TAPS
from dnr_jax.inspection.sections import effective_map
from dnr_jax.networks.taps import check_tap
from dnr_jax.planning.importance import analyse
from dnr_jax.weights import Weights


class Measure(NamedTuple):
    """One measure as it is shown.

    Attributes:
      key: what the measure is called in tables and files.
      better: "higher" or "lower".
      text: what it is, plain text for the report; the semantic score's is the judge's label.
      percent: whether it is a share, shown in percent.
    """

    key: str
    better: str
    text: str
    percent: bool = False


MEASURES = (
    Measure("semantic_score", "higher", "", percent=True),
    Measure(
        "bidirectional_similarity",
        "lower",
        "bidirectional similarity (Simakov et al. 2008): what was lost and what is new, in squared colour differences",
    ),
    Measure(
        "aspect_ratio_similarity",
        "higher",
        "aspect-ratio similarity (Zhang et al. 2016): whether important blocks keep their proportions; 1 at best",
    ),
    Measure("seam_discontinuity", "lower", "jagged edges that the photo does not have, in grey levels; 0: none"),
    Measure(
        "saliency_discard_ratio",
        "lower",
        "saliency discard ratio (Shen et al. 2024): how much of the columns (or rows) of outlined objects is gone",
        percent=True,
    ),
    Measure(
        "object_aspect_distortion",
        "lower",
        "mean change of outlined objects' proportions, as a logarithm; 0: none, 0.69: half as wide, 1.39: lost",
    ),
)
OBJECT_MEASURES = tuple(m for m in MEASURES if m.key in ("saliency_discard_ratio", "object_aspect_distortion"))
"""Those that need outlines of objects; not a number for photos without."""


@dataclasses.dataclass(frozen=True)
class Judge:
    """The network whose activation is the semantic score and whose importance weighs the blocks.

    Attributes:
      weights: the network that measures, from `load_weights`.
      tap: the semantic score's layer.
      scale: the factor on the photos' sides, which the label tells.
    """

    weights: Weights
    tap: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.weights.network.check_taps((check_tap(self.tap),))

    @property
    def label(self) -> str:
        """What the semantic score is printed with."""
        label = metrics.semantic_label(self.weights, tap=self.tap)
        return label if self.scale == 1 else f"{label}, at scale {self.scale:g}, which Table 1 is not"

    @property
    def is_papers(self) -> bool:
        """Whether Table 1 of the paper holds numbers of the same kind."""
        return self.scale == 1 and metrics.is_papers_score(self.weights, tap=self.tap)

    @property
    def taps(self) -> tuple[str, ...]:
        """The taps of the importance map: the default ones that the weights hold."""
        held = []
        for tap in DEFAULT_TAPS:
            try:
                self.weights.network.check_taps((tap,))
            except ValueError:
                break
            held.append(tap)
        return tuple(held)

    def importance(self, image: np.ndarray) -> np.ndarray:
        """Eq. 1's maps, each divided by its mean, upsampled and summed; uint8 [H, W, 3] -> float32 [H, W]."""
        maps = analyse(self.weights.network, np.asarray(image, np.float32), self.taps, ()).importance
        return effective_map(tuple(np.asarray(values) for values in maps), self.taps, (image.shape[0], image.shape[1]))

    def measure(
        self,
        original: np.ndarray,
        retargeted: np.ndarray,
        importance: np.ndarray,
        *,
        objects: np.ndarray | None = None,
    ) -> dict[str, float]:
        """All of `MEASURES` by key; those of objects, bool [n, H, W], are not numbers where there are none."""
        registration = metrics.register(original, retargeted)
        return measure_objects(objects, registration) | {
            "semantic_score": metrics.semantic_score(original, retargeted, self.weights, tap=self.tap),
            "bidirectional_similarity": metrics.bidirectional_similarity(original, retargeted),
            "aspect_ratio_similarity": metrics.aspect_ratio_similarity(
                original, retargeted, importance=importance, registration=registration
            ),
            "seam_discontinuity": metrics.seam_discontinuity(original, retargeted, registration=registration),
        }


def measure_objects(objects: np.ndarray | None, registration: metrics.Registration) -> dict[str, float]:
    """`OBJECT_MEASURES` by key; not numbers where no objects are outlined."""
    if objects is None:
        return dict.fromkeys((measure.key for measure in OBJECT_MEASURES), float("nan"))
    return {
        "saliency_discard_ratio": metrics.saliency_discard_ratio(objects, registration),
        "object_aspect_distortion": metrics.object_aspect_distortion(objects, registration),
    }


def weights_digest(weights: Weights) -> str:
    """A SHA-256 of a network's parameters, preprocessing and architecture."""
    digest = hashlib.sha256(repr((weights.network.module, weights.network.importance_side)).encode())
    for path, array in jax.tree_util.tree_leaves_with_path(weights.network.params):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
