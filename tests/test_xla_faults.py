"""XLA's wrong results on a CPU: there without our option, gone with it, whatever else the user asks of XLA."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jax
import pytest
from batch_photos import ROOT

from dnr_jax.xla_faults import FIRST_FAULTY, FIRST_UNKNOWN, OPTION, add_option, needs_option

FAULTS = """
import json, os, sys
import jax
import jax.numpy as jnp
if sys.argv[1] == "late":
    jnp.ones(1).block_until_ready()
if sys.argv[1] != "without":
    import dnr_jax
if sys.argv[1] in ("late", "file"):
    print(json.dumps({"flags": os.environ.get("XLA_FLAGS", "")}))
    sys.exit()

def rows(n):
    x = jnp.arange(n, dtype=jnp.float32)
    x = jnp.stack([x, 0 * x, 0 * x], 1)
    last = jax.vmap(lambda row: jnp.sum((jnp.eye(3, dtype=jnp.float32) @ row) ** 2))
    return [float(jax.jit(last)(x)[-1]), float(n - 1) ** 2]

def matrices():
    x = jax.random.normal(jax.random.key(0), (5, 60, 60), jnp.float32)
    x = x @ x.transpose(0, 2, 1)
    total = lambda x: jnp.sum((x @ jnp.full_like(x, 1.5)) * x)
    return [float(jax.jit(total)(x)), float(total(x))]

print(json.dumps({"rows": rows(32_769), "matrices": matrices(), "flags": os.environ.get("XLA_FLAGS", "")}))
"""
CRASH = """
import sys
if sys.argv[1] == "with":
    import dnr_jax
import jax
import jax.numpy as jnp

if sys.argv[2] == "eight":
    ones = jnp.ones((2, 2, 2, 2, 2, 2, 8, 16), jnp.float32)
    total = lambda a, b: jnp.einsum("...ij,...kj->...ik", a, b)
else:
    ones = jnp.ones((3, 1, 2, 2, 8, 8, 8), jnp.float32)
    total = lambda a, b: (a * b).sum(3)
print(float(jax.jit(total)(ones, ones).sum()))
"""
NEWER = ("0.11.0", "0.11.1", "0.11.2", "0.12.0", "0.12.0.1")
FAULTY = {"0.10.2": {"rows", "matrices"}, **{jaxlib: {"matrices"} for jaxlib in NEWER}}
"""What each version of jaxlib was found to get wrong without the option."""


def compute(how: str, flags: str = "") -> tuple[set[str], str, str]:
    """What a fresh process gets wrong, its XLA_FLAGS, and its complaints.

    `how` it imports the package: "with" it, "without", "late", after JAX has computed, or with flags in a "file"; the
    last two compute nothing.
    """
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    values = json.loads(done.stdout)
    flags = values.pop("flags")
    wrong = {name for name, (got, true) in values.items() if not abs(got - true) <= 1e-4 * abs(true)}
    return wrong, flags, done.stderr


def test_without_the_option_results_are_wrong() -> None:
    wrong, _, _ = compute("without")
    known = FAULTY.get(version("jaxlib"))
    if known is not None:
        assert wrong == known


def test_importing_the_package_makes_them_right_and_keeps_the_users_flags() -> None:
    mine = "--xla_force_host_platform_device_count=2"
    wrong, flags, complaint = compute("with", mine)
    assert wrong == set(), "this jaxlib computes wrong results: see dnr_jax/xla_faults.py"
    assert flags == add_option(mine, version("jaxlib"))
    assert flags.startswith(mine)
    assert "RuntimeWarning" not in complaint


@pytest.mark.parametrize(
    ("rank", "total", "crashes_in"),
    [("eight", 64 * 8 * 8 * 16, tuple(FAULTY)), ("seven", 3 * 2 * 2 * 512, ("0.10.2",))],
)
@pytest.mark.parametrize("how", ["with", "without"])
def test_products_of_high_rank_do_not_end_the_process(
    how: str, rank: str, total: int, crashes_in: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH, how, rank],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    if how == "with":
        assert float(done.stdout) == total
    elif version("jaxlib") in crashes_in:
        assert done.returncode < 0, "a signal ended it"


def test_a_process_that_computed_before_is_warned() -> None:
    _, _, complaint = compute("late")
    assert ("Import dnr_jax first" in complaint) == (add_option("", version("jaxlib")) != "")


def test_a_file_of_flags_is_left_alone_and_said(tmp_path: Path) -> None:
    (tmp_path / "flags.txt").write_text("--xla_cpu_enable_fast_math=false")
    _, flags, complaint = compute("file", str(tmp_path / "flags.txt"))
    assert flags == str(tmp_path / "flags.txt")
    assert ("names a file" in complaint) == needs_option(version("jaxlib"))


@pytest.mark.parametrize(
    ("flags", "jaxlib", "wanted"),
    [
        ("", "0.10.1", ""),
        ("", "0.10.2", f"{OPTION}="),
        ("--a=1", "0.12.0.1", f"--a=1 {OPTION}="),
        ("", "0.13.0", ""),
        ("", "0.11.0.dev20260701", f"{OPTION}="),
        (f"{OPTION}=individual_dot", "0.10.2", f"{OPTION}=individual_dot"),
        ("/etc/xla_flags.txt", "0.10.2", "/etc/xla_flags.txt"),
    ],
)
def test_the_option_joins_what_is_there(flags: str, jaxlib: str, wanted: str) -> None:
    assert add_option(flags, jaxlib) == wanted
    assert add_option(wanted, jaxlib) == wanted


def test_this_process_computes_with_it() -> None:
    assert FIRST_FAULTY < FIRST_UNKNOWN
    assert os.environ.get("XLA_FLAGS", "") == add_option(os.environ.get("XLA_FLAGS", ""), version("jaxlib"))
    product = jax.jit(lambda x: ((x @ jax.numpy.full_like(x, 1.5)) * x).sum())
    text = product.lower(jax.ShapeDtypeStruct((5, 60, 60), "float32")).compile().as_text()
    assert text is not None
    assert "__ynn_fusion" not in text
