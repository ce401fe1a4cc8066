"""Plugins for thumbor, the image server: `dnr_jax.thumbor.filter` and `dnr_jax.thumbor.detector`."""
