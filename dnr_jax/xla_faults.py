"""A fault of XLA's CPU compiler, and the option that keeps it out: set when the package is imported, before JAX starts.

From jaxlib 0.10.2 on XLA hands fusions of products and sums to YNNPACK, and some come back wrong without a word, in
float32: a matrix-vector product under `vmap`, squared and summed, from row 32,769 on (jax #39103; 0.10.2), and a batch
of matrix products with a constant matrix, multiplied elementwise and summed (every version from 0.10.2 to 0.12.0.1).
Others end the process (jax #39257, in all of these versions; #40412, in 0.10.2). An empty list of what may be fused so
is right everywhere.

XLA reads $XLA_FLAGS once, when JAX computes first, and has no other door for an option of all programs: hence this one
effect of importing the package. Programs that other code compiles in the same process are compiled so as well.
"""

import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

OPTION = "--xla_cpu_experimental_ynn_fusion_type"
FIRST_FAULTY, FIRST_UNKNOWN = (0, 10, 2), (0, 13)
"""The versions of jaxlib that get the option. Newer ones may not know it, and XLA ends a process for a flag that it
does not know; `tests/test_xla_faults.py` says whether they need it."""


def keep_out() -> None:
    """Adds the option to $XLA_FLAGS for this process and those it starts; warns where JAX has started already."""
    try:
        jaxlib = version("jaxlib")
    except PackageNotFoundError:
        return
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = add_option(flags, jaxlib)
    if wanted == flags:
        if names_a_file(flags) and needs_option(jaxlib):
            warnings.warn(
                f"$XLA_FLAGS names a file: add {OPTION}= to it, or jaxlib {jaxlib} may compute wrong results on a CPU",
                RuntimeWarning,
                stacklevel=3,
            )
        return
    os.environ["XLA_FLAGS"] = wanted
    if _jax_has_started():
        warnings.warn(
            f"JAX has started before dnr_jax was imported: on a CPU, jaxlib {jaxlib} may compute wrong results. Import"
            f" dnr_jax first, or set XLA_FLAGS={OPTION}=",
            RuntimeWarning,
            stacklevel=3,
        )


def add_option(flags: str, jaxlib: str) -> str:
    """$XLA_FLAGS with the option, where this version of jaxlib needs it and the user has not set it.

    Args:
      flags: the value of $XLA_FLAGS; where it names a file of flags, it is returned unchanged.
      jaxlib: the version of jaxlib, for instance "0.10.2".

    Example:
      >>> add_option("--xla_cpu_enable_fast_math=false", "0.10.2")
      '--xla_cpu_enable_fast_math=false --xla_cpu_experimental_ynn_fusion_type='
      >>> add_option("", "0.10.1")
      ''
    """
    if not needs_option(jaxlib) or OPTION in flags or names_a_file(flags):
        return flags
    return f"{flags} {OPTION}=".lstrip()


def needs_option(jaxlib: str) -> bool:
    """Whether a version of jaxlib has the fault and knows the option."""
    numbers = tuple(int(part) for part in jaxlib.split(".")[:3] if part.isdecimal())
    return FIRST_FAULTY <= numbers < FIRST_UNKNOWN


def names_a_file(flags: str) -> bool:
    """Whether $XLA_FLAGS is the name of a file of flags, and not flags."""
    return bool(flags.strip()) and not flags.lstrip().startswith("-")


def _jax_has_started() -> bool:
    """Whether a backend is there already; False where JAX does not say."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(getattr(bridge, "backends_are_initialized", lambda: False)())
