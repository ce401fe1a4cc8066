"""From a plan to pixels: reconstruction from features, refinement, the warp applied."""
