"""Batches with several targets: every result has a record of its own; photos are decoded and looked at once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_photos import TINY, results, tiny_photo, write_photos
from batch_runs import Finished, assert_near, run

from dnr_jax.batch import devices
from dnr_jax.batch import run as loop
from dnr_jax.batch.command import main
from dnr_jax.batch.entries import Entry, Extensions, Naming
from dnr_jax.batch.searching import find_entries
from dnr_jax.photos.files import read_image, write_photo

TWO = ("--width=75%,85%",)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_photos(tmp_path / "in", [(40, 48), (44, 52)])
    return tmp_path / "in"


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / ".dnr-batch/finished-0-of-1.jsonl").read_text().splitlines()]


def test_entries_and_their_names(source: Path, tmp_path: Path) -> None:
    both = Naming(("1x1", "4x5"), "{target}/{name}")
    found = find_entries(str(source), tmp_path / "out", Extensions(".jpg"), naming=both)
    assert [(entry.output, entry.target) for entry in found] == [
        ("1x1/set0/p000.jpg", 0),
        ("4x5/set0/p000.jpg", 1),
        ("1x1/set1/p001.jpg", 0),
        ("4x5/set1/p001.jpg", 1),
    ]
    own = Entry("a.jpg", "a.jpg", width="50%")
    assert both.expand(own) == [own]
    odd = Naming(("1x1",), "{name}_{target}").expand(Entry("{target}.jpg", "{target}.jpg"))
    assert [entry.output for entry in odd] == ["{target}_1x1.jpg"]
    # A photo's result for one target would be another photo's.
    write_photo(source / "p.png", tiny_photo(40, 48, 1))
    write_photo(source / "p_a.png", tiny_photo(40, 48, 1))
    with pytest.raises(ValueError, match=r"would both be written to p_a_a\.png"):
        find_entries(str(source), tmp_path / "out", Extensions(), naming=Naming(("a", "a_a"), "{name}_{target}"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--output_name={target}"], "put {name} into it"),
        (["--output_name={name}"], "put {target} into it"),
        (["--output_name={name}_{target}_{width}"], "--output_name has {width}: there are {name}"),
        (["--output_name=../{name}_{target}"], "leaves the output directory"),
        (["--height=1,2,3"], "--width 2 and --height 3 values"),
        (["--for=story"], "--for says how many pixels"),
        (["--width=75%,5%"], "--width is 5%"),
    ],
)
def test_bad_targets_are_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    assert main(["batch", f"--input={source}", f"--output_dir={tmp_path / 'out'}", *TINY, *TWO, *args]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def count(monkeypatch: pytest.MonkeyPatch, home: Any, name: str) -> list[int]:
    calls: list[int] = []
    whole = getattr(home, name)
    monkeypatch.setattr(home, name, lambda *args: calls.append(1) or whole(*args))
    return calls


@pytest.mark.slow
def test_every_result_is_recorded_and_resumes_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, seen = count(monkeypatch, loop, "decode_entry"), count(monkeypatch, devices, "see")
    output = tmp_path / "out"
    figures: Finished = run(output, f"--input={source}", *TWO)
    assert (figures.code, figures["photos"]["done"]) == (0, 4)
    assert (len(decoded), len(seen)) == (2, 2), "photos are decoded and looked at once for both targets"
    assert {line["output"]: line["target_size"] for line in lines(output)} == {
        "set0/p000_75.png": [40, 36],
        "set0/p000_85.png": [40, 41],
        "set1/p001_75.png": [44, 39],
        "set1/p001_85.png": [44, 44],
    }
    # Those are the results of runs with one target.
    for target in ("75", "85"):
        alone = run(tmp_path / target, f"--input={source}", f"--width={target}%", "--output_name={name}_{target}")
        assert alone["photos"]["done"] == 2
        assert_near(tmp_path / target, output)
    (output / "set0/p000_75.png").unlink()
    again = run(output, f"--input={source}", *TWO)
    assert again["photos"] == {"done": 1, "failed": 0, "skipped": 3, "skipped_failed_before": 0}
    # Another target later: only that is done.
    more = run(output, f"--input={source}", "--width=75%,85%,90%")
    assert more["photos"] == {"done": 2, "failed": 0, "skipped": 4, "skipped_failed_before": 0}
    assert len(results(output)) == 6


@pytest.mark.slow
def test_uses_own_sizes_and_failures_beside_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_photo(tmp_path / "in/a.png", tiny_photo(40, 48, 1))
    write_photo(tmp_path / "in/narrow.png", tiny_photo(160, 33, 2))
    rows = [{"path": "in/a.png"}, {"path": "in/narrow.png"}, {"path": "in/a.png", "width": 40, "output": "own.png"}]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    args = [f"--input={tmp_path / 'list.jsonl'}", "--for=instagram_square,x", "--output_name={target}/{name}"]
    tiny = [flag for flag in TINY if not flag.startswith("--width")]
    common = ["batch", f"--output_dir={tmp_path / 'out'}", "--workers=0", *tiny, *args]
    assert main([*common, "--dry_run"]) == 0
    assert "5 results of 2 photos: 5 to do, 0 done before" in capsys.readouterr().out
    assert main(common) == 0
    sizes = {name: read_image(tmp_path / "out" / name).shape[:2] for name in results(tmp_path / "out")}
    assert sizes == {
        "instagram_square/in/a.png": (1080, 1080),
        "instagram_square/in/narrow.png": (1080, 1080),
        "x/in/a.png": (900, 1600),
        "x/in/narrow.png": (900, 1600),
        "own.png": (40, 40),
    }
    records = {line["output"]: line for line in lines(tmp_path / "out")}
    assert records["x/in/a.png"]["output_size"] == [900, 1600]
    assert records["x/in/a.png"]["target_size"] == [27, 48]
    assert "output_size" not in records["own.png"]
    seconds = [records[name]["seconds"]["decode"] for name in ("instagram_square/in/a.png", "x/in/a.png")]
    assert np.count_nonzero(seconds) >= 1
