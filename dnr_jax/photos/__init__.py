"""Reads photo files into arrays, and writes arrays as photo files."""
