"""Counts what the server does, and shows the counts in Prometheus's text format."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_STATUS = Path("/proc/self/status")


class Metrics:
    """Counters of one server; safe to use from any thread.

    Args:
      inside: returns how many jobs run, wait or are read.
    """

    def __init__(self, inside: Callable[[], int]):
        self._inside = inside
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._abandoned = 0
        self._failed: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, list[float]] = {}

    def count_request(self, method: str, path: str, status: int) -> None:
        """Counts an answered request; `path` must be one of a few, since each gets a counter of its own."""
        with self._lock:
            self._requests[method, path, status] += 1

    def count_abandoned(self) -> None:
        """Counts a job whose client has left."""
        with self._lock:
            self._abandoned += 1

    def count_failed(self, kind: str, problem: str) -> None:
        """Counts a job of a kind that ended with a problem, whose kind must be one of `problems.KINDS`."""
        with self._lock:
            self._failed[kind, problem] += 1

    def time_job(self, kind: str, seconds: float) -> None:
        """Adds a finished job to the histogram of its kind; `seconds` is how long it was worked on."""
        with self._lock:
            counts = self._seconds.setdefault(kind, [0.0] * (len(_BOUNDS) + 2))
            for place, bound in enumerate(_BOUNDS):
                counts[place] += seconds <= bound
            counts[-2] += 1
            counts[-1] += seconds

    def text(self) -> str:
        """All counters, as Prometheus reads them."""
        with self._lock:
            lines = ["# HELP dnr_requests_total Answered requests.", "# TYPE dnr_requests_total counter"]
            for (method, path, status), count in sorted(self._requests.items()):
                lines.append(f'dnr_requests_total{{method="{method}",path="{path}",status="{status}"}} {count}')
            lines += [
                "# HELP dnr_job_seconds Time that finished jobs were worked on.",
                "# TYPE dnr_job_seconds histogram",
            ]
            for kind, counts in sorted(self._seconds.items()):
                for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=False):
                    lines.append(f'dnr_job_seconds_bucket{{kind="{kind}",le="{bound}"}} {count:g}')
                lines.append(f'dnr_job_seconds_count{{kind="{kind}"}} {counts[-2]:g}')
                lines.append(f'dnr_job_seconds_sum{{kind="{kind}"}} {counts[-1]:.6g}')
            lines += [
                "# HELP dnr_jobs_abandoned_total Jobs whose client left before their end.",
                "# TYPE dnr_jobs_abandoned_total counter",
                f"dnr_jobs_abandoned_total {self._abandoned}",
                "# HELP dnr_jobs_failed_total Jobs that ended with a problem.",
                "# TYPE dnr_jobs_failed_total counter",
            ]
            for (kind, problem), count in sorted(self._failed.items()):
                lines.append(f'dnr_jobs_failed_total{{kind="{kind}",problem="{problem}"}} {count}')
        lines += [
            "# HELP dnr_jobs Jobs that run, wait or are read.",
            "# TYPE dnr_jobs gauge",
            f"dnr_jobs {self._inside()}",
        ]
        memory = resident_bytes()
        if memory is not None:
            lines += [
                "# HELP process_resident_memory_bytes Resident memory.",
                "# TYPE process_resident_memory_bytes gauge",
                f"process_resident_memory_bytes {memory}",
            ]
        return "\n".join(lines) + "\n"


def resident_bytes() -> int | None:
    """How many bytes of memory this process occupies; None where the system does not say."""
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024
