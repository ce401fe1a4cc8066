"""Measures of a retargeted image against its original: `measure(original, retargeted, ...) -> float`.

Images are uint8 or float [H, W, 3], RGB in [0, 255], of any two sizes.
"""

from dnr_jax.metrics.aspect_ratio import aspect_ratio_similarity
from dnr_jax.metrics.discontinuity import seam_discontinuity
from dnr_jax.metrics.registration import Registration, register
from dnr_jax.metrics.semantic import is_papers_score, semantic_label, semantic_score
from dnr_jax.metrics.similarity import bidirectional_parts, bidirectional_similarity

__all__ = [
    "Registration",
    "aspect_ratio_similarity",
    "bidirectional_parts",
    "bidirectional_similarity",
    "is_papers_score",
    "register",
    "seam_discontinuity",
    "semantic_label",
    "semantic_score",
]
