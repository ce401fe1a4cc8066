"""Runs `python -m dnr_jax.serve`."""

from dnr_jax.serve.command import run

if __name__ == "__main__":
    run()
