"""Counts the votes that the blind mode of a report exported: the share of every pair, with a 95 % binomial interval.

python -m dnr_jax.evaluation.tally votes-*.json

It also counts the photos that preferred either method. Of a participant who exported twice, the newer file counts, in
whatever order the files are given.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from dnr_jax.evaluation.votes import merge_ballots, read_ballot, tally, tally_text
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process


def main(argv: Sequence[str]) -> int:
    """Runs the count; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "tally"}
    flags.DEFINE_enum("interval", "wilson", ["wilson", "exact"], "Wilson's score, or Clopper and Pearson's.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    return run_command(
        "tally",
        argv,
        values,
        _count,
        text=__doc__,
        arguments="files",
        example="python -m dnr_jax.evaluation.tally votes-*.json",
    )


def _count(options: dict[str, Any]) -> None:
    votes = merge_ballots(read_ballot(Path(path)) for path in options["files"])
    if not votes:
        raise ValueError("the files hold no votes")
    print(tally_text(votes, tally(votes, interval=options["interval"]), options["interval"]), end="")


if __name__ == "__main__":
    end_process(main(sys.argv))
