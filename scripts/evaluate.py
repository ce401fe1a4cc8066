"""`python -m dnr_jax.evaluation` with one more flag, for this repository.

--update_docs keeps the means in docs/measurements, and writes docs/pages/benchmarks.md and README's table from them.
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from dnr_jax.evaluation import command
from dnr_jax.shell.ending import end_process
from measurements.store import record


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns its exit code."""
    values = command.define_flags()
    flags.DEFINE_boolean(
        "update_docs", False, "Keep the means for the documents.", flag_values=values, module_name="evaluate"
    )

    def keep(options: dict[str, Any], kept: dict[str, Any]) -> None:
        if options["update_docs"]:
            for kind, figures in kept.items():
                record(kind, figures, argv)

    return command.main(argv, values=values, keep=keep)


if __name__ == "__main__":
    end_process(main(sys.argv))
