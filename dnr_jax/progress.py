"""How long stages tell how far they are."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, most steps)."""
StepProgress = Callable[[int, int], None]
"""Called with (steps done, most steps) of one stage."""
