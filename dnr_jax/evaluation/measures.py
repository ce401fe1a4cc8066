"""The measures of a comparison, which one network, the judge, takes of all results."""

import dataclasses
from typing import NamedTuple

import numpy as np

from dnr_jax import metrics
from dnr_jax.config import DEFAULT_TAPS
from dnr_jax.inspection.sections import effective_map
from dnr_jax.networks.taps import check_tap
from dnr_jax.planning.importance import analyse
from dnr_jax.program_limit import make_room
from dnr_jax.weights import Weights


class Measure(NamedTuple):
    """One measure as it is shown.

    Attributes:
      key: what the measure is called in tables and files.
      better: whether "higher" or "lower" values are better.
      text: what the measure is, as plain text for the report; for the semantic score, the judge's label replaces it.
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
"""The measures that need outlines of objects; for photos without outlines they are not a number."""


@dataclasses.dataclass(frozen=True)
class Judge:
    """The network whose activation is the semantic score and whose importance weighs the blocks.

    Attributes:
      weights: the network that measures, from `load_weights`.
      tap: the layer that the semantic score is taken from.
      scale: the factor by which the sides of photos are scaled before they are measured; the label names it.
    """

    weights: Weights
    tap: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.weights.network.check_taps((check_tap(self.tap),))

    @property
    def label(self) -> str:
        """Says of which layer, network and scale a semantic score is; it is printed beside every score."""
        label = metrics.semantic_label(self.weights, tap=self.tap)
        return label if self.scale == 1 else f"{label}, at scale {self.scale:g}, which Table 1 is not"

    @property
    def is_papers(self) -> bool:
        """Whether the semantic score is of the same kind as those in the paper's Table 1."""
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
        """The importance of an image: the maps of Eq. 1, each divided by its mean, upsampled and summed.

        Args:
          image: uint8 [H, W, 3].

        Returns:
          float32 [H, W].
        """
        make_room()
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
        """Measures a result against its photo.

        Args:
          original: the photo, uint8 [H, W, 3].
          retargeted: the result, uint8 [H', W', 3].
          importance: the photo's importance, float32 [H, W], as `importance` gives it.
          objects: the outlined objects of the photo, bool [n, H, W]; None for none.

        Returns:
          All of `MEASURES` by key; without objects, those that need them are not numbers.
        """
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
    """Measures what a result does to objects.

    Args:
      objects: the outlined objects of the photo, bool [n, H, W]; None for none.
      registration: where each pixel of the photo went.

    Returns:
      All of `OBJECT_MEASURES` by key; without objects they are not numbers.
    """
    if objects is None:
        return dict.fromkeys((measure.key for measure in OBJECT_MEASURES), float("nan"))
    return {
        "saliency_discard_ratio": metrics.saliency_discard_ratio(objects, registration),
        "object_aspect_distortion": metrics.object_aspect_distortion(objects, registration),
    }
