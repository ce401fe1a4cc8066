"""Reads photo files into arrays, and writes arrays as photo files."""

MAX_MEGAPIXELS = 25.0
"""How many millions of pixels a photo may have by default."""
