"""The count of the votes that reports exported."""

import itertools
import json
from pathlib import Path

import pytest

from dnr_jax.evaluation.statistics import vote_share
from dnr_jax.evaluation.votes import Ballot, Vote, merge_ballots, read_ballot, tally, tally_text


def ballot(
    path: Path, participant: str, votes: list[tuple[str, str, str, str]], report: str = "r", exported: str | None = None
) -> Path:
    keys = ("photo", "left", "right", "choice")
    content = {"format": "dnr_jax-votes-1", "report": report, "participant": participant}
    if exported is not None:
        content["exported"] = exported
    path.write_text(json.dumps({**content, "votes": [dict(zip(keys, vote, strict=True)) for vote in votes]}))
    return path


def test_votes_are_counted(tmp_path: Path) -> None:
    first = ballot(
        tmp_path / "1.json",
        "p",
        [
            ("a", "dnr", "sc", "left"),
            ("b", "sc", "dnr", "left"),
            ("c", "cr", "dnr", "right"),
            ("d", "sc", "dnr", "right"),
        ],
    )
    second = ballot(tmp_path / "2.json", "q", [("a", "sc", "dnr", "right"), ("b", "dnr", "sc", "left")])
    votes = merge_ballots(map(read_ballot, (first, second)))
    against_cr, against_sc = tally(votes)
    assert (against_cr.first, against_cr.second, against_cr.votes, against_cr.photos) == ("dnr", "cr", 1, (1, 0, 0))
    assert (against_sc.first, against_sc.votes, against_sc.share.total) == ("dnr", 4, 5)
    assert against_sc.photos == (2, 0, 1)  # a and d; on b they voted against each other.
    assert against_sc.share == vote_share(4, 5)
    assert tally(votes, interval="exact")[1].share == vote_share(4, 5, method="exact")
    text = tally_text(votes, tally(votes), "wilson")
    assert "6 votes of 2 participants" in text
    assert "dnr against sc: 4 of 5 votes, 80.0 % [37.6, 96.4]; 2 photos against 0, 1 even" in text


def test_a_participants_second_export_replaces_the_first(tmp_path: Path) -> None:
    early = ballot(tmp_path / "1.json", "p", [("a", "dnr", "sc", "left")])
    late = ballot(tmp_path / "2.json", "p", [("a", "sc", "dnr", "left"), ("b", "dnr", "sc", "left")])
    votes = merge_ballots(map(read_ballot, (early, late)))
    assert votes == [Vote("p", "a", "sc", "dnr"), Vote("p", "b", "dnr", "sc")]


def test_the_newest_export_counts_whatever_its_name(tmp_path: Path) -> None:
    old = [("a", "dnr", "sc", "left"), ("b", "dnr", "sc", "left")]
    new = [("a", "dnr", "sc", "right")]  # The other vote was undone.
    undated = ballot(tmp_path / "undated.json", "p", [("c", "dnr", "sc", "left")])
    first = ballot(tmp_path / "votes.json", "p", old, exported="2026-05-04T09:59:59.000Z")
    second = ballot(tmp_path / "votes (1).json", "p", new, exported="2026-05-04T12:00:00+02:00")
    other = ballot(tmp_path / "other.json", "q", new, exported="2026-05-04T08:00:00.000Z")
    for files in itertools.permutations((undated, first, second, other)):
        votes = merge_ballots(map(read_ballot, files))
        assert sorted(votes) == [Vote("p", "a", "sc", "dnr"), Vote("q", "a", "sc", "dnr")]


def test_votes_that_cannot_be_counted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 reports"):
        merge_ballots([Ballot("r", "p", None, []), Ballot("s", "p", None, [])])
    with pytest.raises(ValueError, match="no such file"):
        read_ballot(tmp_path / "missing.json")
    good = ballot(tmp_path / "votes.json", "p", [("a", "dnr", "sc", "left")]).read_text()
    for text, message in (
        ("{", "cannot be read"),
        ("[]", "holds no votes"),
        (good.replace("votes-1", "votes-9"), "format is"),
        (good.replace('"report"', '"other"'), "'report' is missing"),
        (good.replace('"choice": "left"', '"choice": "both"'), "a choice of 'both'"),
        (good.replace('"sc"', '"dnr"'), "between dnr and dnr"),
        (good.replace('"votes"', '"exported": "today", "votes"'), "holds no votes of a report .*'today'"),
    ):
        (tmp_path / "votes.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_ballot(tmp_path / "votes.json")
