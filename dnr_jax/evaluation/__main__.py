"""Runs `python -m dnr_jax.evaluation`."""

from dnr_jax.evaluation.command import run

if __name__ == "__main__":
    run()
