"""How stages tell how far they are, and how long they took."""

import contextlib
import time
from collections.abc import Callable, Iterator

import numpy as np

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, most steps)."""
StepProgress = Callable[[int, int], None]
"""Called with (steps done, most steps) of one stage."""
Watch = Callable[[Callable[[], np.ndarray]], None]
"""Called about twenty times during a reconstruction with a function that draws the result as it stands, float32
[H', W', 3] in [0, 255]; what is drawn costs a warp, and must be drawn before this returns."""


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds that its body takes to a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0) + time.perf_counter() - start, 4)
