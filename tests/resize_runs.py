"""How tests run the resize command: in this process, with few steps."""

from dnr_jax.resize import main

FAST = ["--weights=embedded", "--reconstruct_steps=2", "--refine_steps=1", "--keep=objects"]
SEAMS = ["--importance_percentile=100"]
"""Seams alone, whatever they damage."""


def run(*args: str) -> int:
    """The exit code of the command."""
    return main(["resize", *args])
