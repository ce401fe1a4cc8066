"""Counts the votes of the report's blind mode: reads files of votes, and gives shares with intervals (Sec. 4.5)."""

import collections
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dnr_jax.evaluation.statistics import Estimate, vote_share

FORMAT = "dnr_jax-votes-1"


class Vote(NamedTuple):
    """One forced choice between two results.

    Attributes:
      participant: an arbitrary name of the person who voted.
      photo: the name of the photo whose results were shown.
      winner: the method whose result was chosen.
      loser: the other method.
    """

    participant: str
    photo: str
    winner: str
    loser: str


class Ballot(NamedTuple):
    """A file of votes.

    Attributes:
      report: the identifier of the report that they were cast in.
      participant: an arbitrary name of the person who voted.
      exported: when the file was exported; None where it does not say.
      votes: the votes, in the order in which they were cast.
    """

    report: str
    participant: str
    exported: datetime | None
    votes: list[Vote]


class Tally(NamedTuple):
    """The votes that two methods received against each other.

    Attributes:
      first: the method with more votes in all its pairs.
      second: the other method.
      share: the share of the votes that went to the first.
      votes: how many votes went to the first.
      photos: on how many photos the first had more votes, on how many the second, and on how many neither.
    """

    first: str
    second: str
    share: Estimate
    votes: int
    photos: tuple[int, int, int]


def read_ballot(path: Path) -> Ballot:
    """Reads a file of votes that the report exported.

    Raises:
      ValueError: the file is not there, is damaged, or holds no votes; the message is one line that names it.
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
        participant, exported = str(content["participant"]), _moment(content.get("exported"))
        votes = [_vote(vote, participant) for vote in content["votes"]]
        return Ballot(str(content["report"]), participant, exported, votes)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} holds no votes of a report ({problem}): export them again") from None


def _moment(text: str | None) -> datetime | None:
    """Reads a time in ISO 8601, by default in UTC; raises ValueError or TypeError where it is none."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _vote(entry: dict[str, Any], participant: str) -> Vote:
    """Reads one vote; raises ValueError, KeyError or TypeError where it is none."""
    left, right, choice = str(entry["left"]), str(entry["right"]), entry["choice"]
    if choice not in ("left", "right") or left == right:
        raise ValueError(f"a choice of {choice!r} between {left} and {right}")
    winner, loser = (left, right) if choice == "left" else (right, left)
    return Vote(participant, str(entry["photo"]), winner, loser)


def merge_ballots(ballots: Iterable[Ballot]) -> list[Vote]:
    """Joins the votes of several files; of a participant's files only the one that was exported last counts, whole.

    It holds all votes that the participant had not undone by then, whatever the files are called. One that does not say
    when it was exported counts as older than those that do; of several such files the last one counts.

    Raises:
      ValueError: the votes were cast in different reports.
    """
    newest: dict[str, Ballot] = {}
    reports = set()
    for ballot in ballots:
        reports.add(ballot.report)
        if ballot.participant not in newest or not _is_older(ballot, newest[ballot.participant]):
            newest[ballot.participant] = ballot
    if len(reports) > 1:
        raise ValueError(f"the votes are of {len(reports)} reports with different pictures: tally each by itself")
    votes: dict[tuple[str, str, frozenset[str]], Vote] = {}
    for ballot in newest.values():
        for vote in ballot.votes:
            votes[vote.participant, vote.photo, frozenset((vote.winner, vote.loser))] = vote
    return list(votes.values())


def _is_older(ballot: Ballot, other: Ballot) -> bool:
    if ballot.exported is None or other.exported is None:
        return ballot.exported is None and other.exported is not None
    return ballot.exported < other.exported


def tally(votes: Sequence[Vote], *, interval: str = "wilson") -> list[Tally]:
    """Counts the votes of every pair of methods.

    Args:
      votes: what `merge_ballots` returned.
      interval: the kind of interval, "wilson" or "exact"; see `vote_share`.

    Returns:
      A tally for each pair, in which the method that has more votes in all its pairs stands first.
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
    """Writes the tallies for the terminal.

    Args:
      votes: what `merge_ballots` returned.
      tallies: what `tally` made of them.
      interval: the kind of interval, which the text names.
    """
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
