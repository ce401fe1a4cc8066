"""Votes of the report's blind mode: files of votes to shares with intervals (the paper's Sec. 4.5)."""

import collections
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dnr_jax.evaluation.statistics import Estimate, vote_share

FORMAT = "dnr_jax-votes-1"


class Vote(NamedTuple):
    """One forced choice.

    Attributes:
      participant: who voted, by an arbitrary name.
      photo: the photo whose results were shown.
      winner: the method chosen.
      loser: the other.
    """

    participant: str
    photo: str
    winner: str
    loser: str


class Ballot(NamedTuple):
    """A file of votes.

    Attributes:
      report: which report they were cast in.
      votes: the votes, in the order in which they were cast.
    """

    report: str
    votes: list[Vote]


class Tally(NamedTuple):
    """What two methods received against each other.

    Attributes:
      first: a method.
      second: the other.
      share: the share of the votes that went to the first.
      votes: how many votes went to the first.
      photos: how many photos preferred the first, the second, neither.
    """

    first: str
    second: str
    share: Estimate
    votes: int
    photos: tuple[int, int, int]


def read_ballot(path: Path) -> Ballot:
    """Reads a file that the report exported.

    Raises:
      ValueError: not such a file, or a damaged one; one line that names it.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): export the votes again") from None
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
        return Ballot(str(content["report"]), [_vote(vote, str(content["participant"])) for vote in content["votes"]])
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} holds no votes of a report ({problem}): export them again") from None


def _vote(entry: dict[str, Any], participant: str) -> Vote:
    left, right, choice = str(entry["left"]), str(entry["right"]), entry["choice"]
    if choice not in ("left", "right") or left == right:
        raise ValueError(f"a choice of {choice!r} between {left} and {right}")
    winner, loser = (left, right) if choice == "left" else (right, left)
    return Vote(participant, str(entry["photo"]), winner, loser)


def merge_ballots(ballots: Iterable[Ballot]) -> list[Vote]:
    """The votes of several files; of a participant's votes on one photo and pair the last counts.

    A participant who exports twice is so counted once.

    Raises:
      ValueError: votes cast in different reports.
    """
    votes: dict[tuple[str, str, frozenset[str]], Vote] = {}
    reports = set()
    for ballot in ballots:
        reports.add(ballot.report)
        for vote in ballot.votes:
            votes[vote.participant, vote.photo, frozenset((vote.winner, vote.loser))] = vote
    if len(reports) > 1:
        raise ValueError(f"the votes are of {len(reports)} reports with different pictures: tally each by itself")
    return list(votes.values())


def tally(votes: Sequence[Vote], *, interval: str = "wilson") -> list[Tally]:
    """Every pair's votes; the method that stands first is the one with more votes in all its pairs.

    Args:
      votes: what `merge_ballots` returned.
      interval: "wilson" or "exact", see `vote_share`.
    """
    won = collections.Counter(vote.winner for vote in votes)
    pairs = collections.defaultdict(list)
    for vote in votes:
        first, second = sorted((vote.winner, vote.loser), key=lambda name: (-won[name], name))
        pairs[first, second].append(vote)
    tallies = []
    for (first, second), cast in sorted(pairs.items()):
        by_photo = collections.Counter()
        for vote in cast:
            by_photo[vote.photo] += 1 if vote.winner == first else -1
        leads = [by_photo[photo] for photo in by_photo]
        photos = (sum(n > 0 for n in leads), sum(n < 0 for n in leads), sum(n == 0 for n in leads))
        count = sum(vote.winner == first for vote in cast)
        tallies.append(Tally(first, second, vote_share(count, len(cast), method=interval), count, photos))
    return tallies


def tally_text(votes: Sequence[Vote], tallies: Sequence[Tally], interval: str) -> str:
    """The tally for the terminal."""
    participants = len({vote.participant for vote in votes})
    lines = [f"{len(votes)} votes of {participants} participants; shares with 95 % binomial intervals ({interval})"]
    for each in tallies:
        low, high = 100 * each.share.low, 100 * each.share.high
        ours, theirs, even = each.photos
        lines.append(
            f"{each.first} against {each.second}: {each.votes} of {each.share.total} votes,"
            f" {100 * each.share.value:.1f} % [{low:.1f}, {high:.1f}];"
            f" {ours} photos against {theirs}" + (f", {even} even" if even else "")
        )
    lines.append("The intervals take votes for independent; those of one participant or on one photo are not quite.")
    return "\n".join(lines) + "\n"
