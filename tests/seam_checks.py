"""Seams against those of the oracle."""

import numpy as np
import oracles

from dnr_jax.planning.seams import Seams


def check(found: Seams, expected: oracles.Seams, shape: tuple[int, int] | None = None) -> None:
    """Bit for bit; for a padded map, inside the valid `shape` and with nothing removed outside it."""
    padded = found.order.shape
    height, width = shape or padded
    assert int(found.removed) == expected.removed
    assert int(found.width) == expected.width
    # Nothing removed is the padded width in a padded map.
    order = np.full(padded, padded[1], np.int32)
    order[:height, :width] = np.where(expected.order == width, padded[1], expected.order)
    np.testing.assert_array_equal(found.order, order)
    np.testing.assert_array_equal(found.kept[:height, : expected.width], expected.kept)
    if expected.width:
        tail = np.broadcast_to(expected.kept[:, -1:], (height, padded[1] - expected.width))
        np.testing.assert_array_equal(found.kept[:height, expected.width :], tail)
    costs = np.full(padded[1], np.inf, np.float32)
    costs[:width] = expected.costs
    np.testing.assert_array_equal(found.costs, costs)
