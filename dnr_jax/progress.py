"""How stages tell how far they are, and how long they took."""

import contextlib
import time
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, most steps)."""
StepProgress = Callable[[int, int], None]
"""Called with (steps done, most steps) of one stage."""


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds that its body takes to a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0) + time.perf_counter() - start, 4)
