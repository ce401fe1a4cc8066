"""Compares retargeting methods on a data set of photos: results, measures, tables, and a report to vote in.

`python scripts/evaluate.py --help` is the command.
"""
