"""Many photos on many devices and machines. `python -m dnr_jax.batch --help` is the command."""
