"""Intervals: means over photos by the bootstrap, shares of votes as binomial proportions."""

from typing import NamedTuple

import numpy as np
import scipy.stats

RESAMPLES = 9999
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """An estimate and its 95 % interval; bounds are not numbers where one observation is all there is.

    Attributes:
      value: the mean or the share.
      low: lower bound.
      high: upper bound.
      total: how many observations there are.
    """

    value: float
    low: float
    high: float
    total: int


def bootstrap_mean(values: np.ndarray, seed: int) -> Estimate:
    """The mean of a sample with the percentile bootstrap's interval (Efron 1979), over 9,999 resamples.

    Args:
      values: float [n]; those that are not numbers are left out.
      seed: what the resamples are drawn by.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        mean = float(values[0]) if len(values) else float("nan")
        return Estimate(mean, float("nan"), float("nan"), len(values))
    drawn = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=1000,
    )
    interval = drawn.confidence_interval
    return Estimate(float(values.mean()), float(interval.low), float(interval.high), len(values))


def vote_share(votes: int, total: int, *, method: str = "wilson") -> Estimate:
    """The share of votes with its binomial interval: "wilson" (score), or "exact" (Clopper and Pearson)."""
    if total == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    interval = scipy.stats.binomtest(votes, total).proportion_ci(CONFIDENCE, method)
    return Estimate(votes / total, float(interval.low), float(interval.high), total)
