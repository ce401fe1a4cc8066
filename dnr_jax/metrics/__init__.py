"""Measures of a retargeted image against its original: `measure(original, retargeted, ...) -> float`.

Images are uint8 or float [H, W, 3], RGB in [0, 255], of any two sizes. The measures of objects take masks and the
map from result to photo instead: `measure(objects, registration) -> float`.
"""

from dnr_jax.metrics.aspect_ratio import aspect_ratio_similarity
from dnr_jax.metrics.discontinuity import seam_discontinuity
from dnr_jax.metrics.objects import object_aspect_distortion, saliency_discard_ratio
from dnr_jax.metrics.registration import Registration, register, scaling_map
from dnr_jax.metrics.semantic import is_papers_score, semantic_label, semantic_score
from dnr_jax.metrics.similarity import bidirectional_parts, bidirectional_similarity

__all__ = [
    "Registration",
    "aspect_ratio_similarity",
    "bidirectional_parts",
    "bidirectional_similarity",
    "is_papers_score",
    "object_aspect_distortion",
    "register",
    "saliency_discard_ratio",
    "scaling_map",
    "seam_discontinuity",
    "semantic_label",
    "semantic_score",
]
