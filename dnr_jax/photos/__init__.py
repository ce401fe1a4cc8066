"""Reads photo files into arrays, and writes arrays as photo files."""

MAX_MEGAPIXELS = 25.0
"""How many millions of pixels a photo may have by default."""
LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to the brightness of a pixel (Rec. 601)."""
