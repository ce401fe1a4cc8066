"""Times functions in turns, and says on what machine figures were measured."""

import sys
import time
from collections.abc import Callable
from typing import Any


def alternate(runs: dict[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Times functions in turns.

    Args:
      runs: the functions, by name.
      repeats: how often each is timed.
      warm_up: whether each runs once before, without being timed.

    Returns:
      The seconds of every run, by name.
    """
    if warm_up:
        for run in runs.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(seconds_of(run))
    return seconds


def tell(what: str) -> None:
    """Prints one line of progress on stderr."""
    print(f"benchmark: {what} ...", file=sys.stderr, flush=True)


def seconds_of(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def describe_environment(config: Any, size: Any, target: Any, repeats: int) -> dict[str, Any]:
    import os
    from importlib import metadata

    import jax

    versions = {}
    for name in ("jax", "jaxlib", "torch", "seam-carving"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "device": jax.devices()[0].device_kind,
        "processors": os.cpu_count(),
        "size": size,
        "target": target,
        "steps": [config.reconstruct_steps, config.refine_steps],
        "precision": "float32",
        "repeats": repeats,
        "huge_pages": "hugetlb=1" in os.environ.get("GLIBC_TUNABLES", ""),
        **versions,
    }
