"""Reads photo files into arrays, and writes arrays as photo files."""

MAX_MEGAPIXELS = 25.0
"""How many millions of pixels a photo may have by default."""
MOST_MEGAPIXELS = 1e6
"""What that number may be raised to."""
