"""Runs `python -m dnr_jax.weights`."""

from dnr_jax.weights.commands import run

if __name__ == "__main__":
    run()
