"""The server's memory of what it computed last: what it keeps, and that threads do not disturb it."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dnr_jax.serve.recent import Recent


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_the_last_ones_asked_for_are_kept() -> None:
    recent: Recent[int] = Recent(2)
    computed: list[int] = []

    def ask(key: int) -> int:
        def compute() -> int:
            computed.append(key)
            return 10 * key

        return recent.get(key, compute)

    assert [ask(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    # 2 had to go for 3, because 1 had been asked for since.
    assert computed == [1, 2, 3, 2]


def test_what_fails_is_not_kept() -> None:
    recent: Recent[int] = Recent(2)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 // 0)
    assert recent.get("a", lambda: 7) == 7


@pytest.mark.usefixtures("hasty_threads")
def test_many_threads_get_what_they_ask_for() -> None:
    recent: Recent[int] = Recent(3)

    def ask(seed: int) -> bool:
        keys = np.random.default_rng(seed).integers(0, 8, 4000).tolist()
        return all(recent.get(key, lambda key=key: -key) == -key for key in keys)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
