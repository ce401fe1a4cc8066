"""Compares retargeting methods on a data set of photos: results, measures, tables, and a report to vote in.

`python -m dnr_jax.evaluation --help` is the command.
"""
