"""A filter and a detector for thumbor, the image server: `dnr_jax.thumbor.filter` and `dnr_jax.thumbor.detector`."""
