"""The functions that stages call to say how far they are, and the measuring of how long a stage took."""

import contextlib
import time
from collections.abc import Callable, Iterator

import numpy as np

Progress = Callable[[str, int, int], None]
"""A function that is called with (the name of a stage, how many steps are done, how many there are at most)."""
StepProgress = Callable[[int, int], None]
"""A function that is called with (how many steps of a stage are done, how many there are at most)."""
Watch = Callable[[Callable[[], np.ndarray]], None]
"""A function that is called about twenty times during a reconstruction, with another function, which draws the result
as it stands, float32 [H', W', 3] in [0, 255]. Drawing costs a warp, and must be done before the call returns."""


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Measures how long its body takes, and adds that to the seconds of a stage.

    Args:
      seconds: the seconds of each stage so far; it is changed.
      stage: the name of the stage.
    """
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0) + time.perf_counter() - start, 4)
