"""Comparing retargeting methods on a data set of photos: results, measures, tables, a report to vote in.

`python scripts/evaluate.py --help` is the command.
"""
