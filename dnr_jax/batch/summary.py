"""What a run did: counts, failures and times, shown as progress on the way and as text and JSON at the end."""

import time
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from dnr_jax.batch.jobs import Job
from dnr_jax.shell.progress import ProgressLine

_PERCENTILES = (50, 90, 99)


class Tally:
    """Counts what happens to photos; its memory grows by one number for each photo.

    Args:
      line: shows how far the run is.
      clock: gives the time in seconds from any moment on, and never goes back.
    """

    def __init__(self, line: ProgressLine, *, clock=time.monotonic):
        self._line, self._clock = line, clock
        self._start = clock()
        self._seconds = array("d")
        self._fallbacks: Counter[str] = Counter()
        self._pixels_expected = self._pixels_done = 0
        self._expected = 0
        self.skipped = self.skipped_failures = 0
        self.failures: list[tuple[str, str]] = []

    @property
    def done(self) -> int:
        """How many photos this run has finished."""
        return len(self._seconds)

    def expect(self, jobs: list[Job]) -> None:
        """Adds photos that are to come; those that an earlier run finished or failed at are counted as skipped."""
        for job in jobs:
            if job.recorded == "done":
                self.skipped += 1
            elif job.recorded:
                self.skipped_failures += 1
            else:
                self._expected += 1
                self._pixels_expected += job.pixels

    def finish(self, job: Job, seconds: float) -> None:
        """Counts a photo that is in its file; `seconds` is what decoding, computing and encoding took together."""
        self._seconds.append(seconds)
        if job.entry.fallback:
            self._fallbacks[Path(job.entry.path).suffix.lower() or "no extension"] += 1
        self._advance(job)

    def fail(self, job: Job, reason: str) -> None:
        """Counts a photo that cannot be retargeted; `reason` is one line that names it."""
        self.failures.append((job.entry.output, reason))
        self._advance(job)

    def _advance(self, job: Job) -> None:
        self._pixels_done += job.pixels
        done, elapsed = self.done + len(self.failures), max(self._clock() - self._start, 1e-9)
        note = f"{done / elapsed:.3g} photos/s"
        if self._pixels_done:
            left = elapsed * (self._pixels_expected - self._pixels_done) / self._pixels_done
            note += f", {show_seconds(left)} left"
        self._line.update("photos", done, self._expected, note=note)

    def summary(
        self, compile_seconds: dict[str, float], busy_seconds: float, devices: int, *, groups: int = 1
    ) -> dict[str, Any]:
        """The run in figures, ready for JSON.

        Args:
          compile_seconds: how long each program of this run took to compile, by a name that says which it is.
          busy_seconds: how long the devices ran programs.
          devices: how many devices there are.
          groups: how many groups of devices compile and run by themselves; the seconds are sums over these.
        """
        wall = self._clock() - self._start
        compiling = sum(compile_seconds.values())
        seconds = np.asarray(self._seconds)
        return {
            "photos": {
                "done": self.done,
                "failed": len(self.failures),
                "skipped": self.skipped,
                "skipped_failed_before": self.skipped_failures,
            },
            "fallback_format": dict(sorted(self._fallbacks.items())),
            "wall_seconds": round(wall, 3),
            "photos_per_second": round(self.done / wall, 4) if wall > 0 else 0,
            "seconds_per_photo": {
                f"p{q}": round(float(np.percentile(seconds, q)), 4) if seconds.size else None for q in _PERCENTILES
            },
            "compile_seconds": {name: round(value, 3) for name, value in compile_seconds.items()},
            "device_busy_share": round(min(1.0, busy_seconds / max(wall * groups - compiling, 1e-9)), 4),
            "devices": devices,
            "failures": [{"output": output, "reason": reason} for output, reason in self.failures],
        }


def summary_text(summary: dict[str, Any]) -> str:
    """The figures of `Tally.summary` in words, several lines without a line break at the end."""
    photos, seconds = summary["photos"], summary["seconds_per_photo"]
    compiled = summary["compile_seconds"]
    lines = [
        f"{photos['done']} done, {photos['failed']} failed, {photos['skipped']} done before"
        + (f", {photos['skipped_failed_before']} failed before" if photos["skipped_failed_before"] else ""),
        f"{show_seconds(summary['wall_seconds'])}, {summary['photos_per_second']:.3g} photos/s;"
        f" {len(compiled)} programs compiled in {show_seconds(sum(compiled.values()))};"
        f" devices busy {summary['device_busy_share']:.0%} of the rest",
    ]
    if photos["done"]:
        percentiles = ", ".join(f"{name} {value:.3g} s" for name, value in seconds.items())
        lines.append(f"a photo: {percentiles} (decoding, its share of the device, encoding)")
    if summary["fallback_format"]:
        listed = ", ".join(f"{count} {name}" for name, count in summary["fallback_format"].items())
        lines.append(f"in the fallback format, because their own cannot be written: {listed}")
    lines += [f"failed: {failure['reason']}" for failure in summary["failures"]]
    if photos["skipped_failed_before"]:
        lines.append("photos that failed before were left out: --retry_failed tries them again")
    return "\n".join(lines)


def show_seconds(seconds: float) -> str:
    """A number of seconds as people say it: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
