"""Estimates with intervals: means over photos by the bootstrap, and shares of votes as binomial proportions."""

from typing import NamedTuple

import numpy as np
import scipy.stats

RESAMPLES = 9999
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """An estimate and its 95 % interval; where there is but one observation, the bounds are not numbers.

    Attributes:
      value: the mean or the share.
      low: the lower bound of the interval.
      high: the upper bound of the interval.
      total: how many observations there are.
    """

    value: float
    low: float
    high: float
    total: int


def bootstrap_mean(values: np.ndarray, seed: int) -> Estimate:
    """The mean of a sample with the percentile bootstrap's interval (Efron 1979), over 9,999 resamples.

    Args:
      values: float [n], the observations; those that are not numbers are left out.
      seed: the seed by which the resamples are drawn.
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
    """The share of votes with its binomial interval.

    Args:
      votes: how many votes went one way.
      total: how many votes there are.
      method: the kind of interval: "wilson" (the score interval) or "exact" (Clopper and Pearson).
    """
    if total == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    interval = scipy.stats.binomtest(votes, total).proportion_ci(CONFIDENCE, method)
    return Estimate(votes / total, float(interval.low), float(interval.high), total)
