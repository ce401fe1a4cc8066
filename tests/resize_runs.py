"""How tests run the resize command: in this process, with few steps."""

from dnr_jax.resize import main

FAST = [
    "--weights=embedded",
    "--taps=block1_conv2,block3_conv4",
    "--importance_percentile=20",
    "--reconstruct_steps=2",
    "--refine_steps=1",
]
"""Few levels and steps; the number of seams is not chosen by trial, which would compile longer."""
SEAMS = ["--importance_percentile=100"]
"""Seams alone, whatever they damage."""


def run(*args: str) -> int:
    """The exit code of the command; faces and words are looked for where the arguments say what to look for."""
    given = any(arg.startswith(("--keep", "--objects", "--preset", "--method", "--help")) for arg in args)
    return main(["resize", *args, *([] if given else ["--keep=objects"])])
