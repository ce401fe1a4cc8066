"""Writes docs/pages/benchmarks.md, its plots and README's tables anew from docs/measurements, measuring nothing.

python scripts/write_benchmarks.py
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from measurements.documents import write_documents
from measurements.store import ROOT, read_all


def main(argv: Sequence[str]) -> int:
    """Writes the documents; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    return run_command("write_benchmarks", argv, values, _write, text=__doc__)


def _write(_: dict[str, Any]) -> None:
    write_documents(read_all(), ROOT)


if __name__ == "__main__":
    end_process(main(sys.argv))
