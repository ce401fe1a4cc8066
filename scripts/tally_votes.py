"""Counts the votes that the blind mode of a report exported: every pair's share with its 95 % binomial interval.

python scripts/tally_votes.py votes-*.json

Also counts the photos that preferred either method. A participant who exported twice counts once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from dnr_jax.evaluation.votes import merge_ballots, read_ballot, tally, tally_text


def main(argv: Sequence[str]) -> int:
    """Runs the count; returns the exit code: 0 done, 2 bad input (one line on stderr)."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "tally_votes"}
    flags.DEFINE_enum("interval", "wilson", ["wilson", "exact"], "Wilson's score, or Clopper and Pearson's.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    try:
        paths = values(argv)[1:]
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        if not paths:
            raise ValueError("no files: python scripts/tally_votes.py votes-*.json")
        votes = merge_ballots(read_ballot(Path(path)) for path in paths)
        if not votes:
            raise ValueError("the files hold no votes")
        interval = str(values["interval"].value)
        print(tally_text(votes, tally(votes, interval), interval), end="")
    except (flags.Error, ValueError) as error:
        print(f"tally_votes: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
