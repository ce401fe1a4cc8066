"""From feature maps to a plan: importance, seams, passes and warps."""
