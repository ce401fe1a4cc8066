"""Runs `python -m dnr_jax.batch`."""

from dnr_jax.batch.command import run

if __name__ == "__main__":
    run()
