"""The record of finished photos: what it keeps through crashes, and when it no longer holds."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from batch_photos import TINY, results, write_photos
from configs import paper_config

from dnr_jax.batch.command import main
from dnr_jax.batch.entries import Entry
from dnr_jax.batch.jobs import Request, request_sha256
from dnr_jax.batch.ledger import Ledger, config_sha256, file_stat, files_sha256, is_current
from dnr_jax.batch.session import own_state
from dnr_jax.shell.targets import Asked


def line_of(entry: Entry, output_dir: Path, **changes: Any) -> dict[str, Any]:
    return {
        "output": entry.output,
        "status": "done",
        "input_sha256": files_sha256(entry.files),
        "config_sha256": "config",
        "weights_sha256": "weights",
        "input_stat": file_stat(entry.files),
        "size": [4, 5],
        "output_bytes": (output_dir / entry.output).stat().st_size,
        "seconds": {"device": 1.5},
        **changes,
    }


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    (tmp_path / "photo.png").write_bytes(b"photo")
    (tmp_path / "mask.png").write_bytes(b"mask")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.png").write_bytes(b"result")
    return Entry(str(tmp_path / "photo.png"), "photo.png", protect=str(tmp_path / "mask.png"))


def holds(
    entry: Entry,
    output_dir: Path,
    config: str = "config",
    weights: str = "weights",
    *,
    limits: str = "limits",
    recheck: bool = False,
) -> bool:
    recorded = Ledger(output_dir, "reader").get(entry.output)
    assert recorded is not None
    return is_current(recorded, entry, output_dir, config, weights, limits=limits, recheck=recheck)


def test_a_record_holds_until_something_changes(entry: Entry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ledger = Ledger(out, "0-of-1")
    ledger.append(line_of(entry, out))
    ledger.close()
    assert holds(entry, out)
    assert not holds(entry, out, config="other")
    assert not holds(entry, out, weights="other")
    assert holds(entry, out, limits="others")
    # Touched but not changed: the digest decides.
    os.utime(entry.path, ns=(1, 1))
    assert holds(entry, out)
    # Changed behind an unchanged length and time: only a recheck sees it.
    ledger.append(line_of(entry, out))
    Path(entry.path).write_bytes(b"PHOTO")
    os.utime(entry.path, ns=(1, 1))
    assert holds(entry, out)
    assert not holds(entry, out, recheck=True)
    Path(entry.path).write_bytes(b"photo")
    Path(str(entry.protect)).write_bytes(b"another mask")
    assert not holds(entry, out)
    Path(str(entry.protect)).write_bytes(b"mask")
    assert holds(entry, out)
    (out / entry.output).write_bytes(b"cut")
    assert not holds(entry, out)
    (out / entry.output).unlink()
    assert not holds(entry, out)


def test_a_failure_holds_without_an_output(entry: Entry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ledger = Ledger(out, "0-of-1")
    (out / entry.output).unlink()
    line = {**line_of(entry, tmp_path), "status": "failed", "reason": "bad", "limits": "limits", "output_bytes": 0}
    ledger.append(line)
    assert holds(entry, out)
    assert not holds(entry, out, limits="others")  # It may be that those refuse it no longer.
    Path(entry.path).write_bytes(b"mended")
    assert not holds(entry, out)
    ledger.append({**line, "input_stat": []})  # A file that could not be read.
    Path(entry.path).unlink()
    assert holds(entry, out)


def test_the_last_line_counts_whichever_file_it_is_in(entry: Entry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number, (name, status) in enumerate([("0-of-2", "failed"), ("1-of-2", "done"), ("0-of-1", "failed")], 1):
        ledger = Ledger(out, name)
        ledger.append(line_of(entry, out, status=status))
        ledger.close()
        os.utime(out / ".dnr-batch" / f"finished-{name}.jsonl", ns=(number, number))
    recorded = Ledger(out, "reader").get(entry.output)
    assert recorded is not None
    assert (recorded.status, recorded.size, recorded.seconds) == ("failed", (4, 5), 1.5)


def test_lines_cut_short_are_passed_over_and_written_after(entry: Entry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = out / ".dnr-batch" / "finished-0-of-1.jsonl"
    path.parent.mkdir()
    whole = json.dumps(line_of(entry, out))
    path.write_text(f"{json.dumps({'output': 'x'})}\n[]\n{whole[:40]}")
    ledger = Ledger(out, "0-of-1")
    assert ledger.get("x") is None
    assert ledger.get(entry.output) is None
    ledger.append(line_of(entry, out))
    ledger.close()
    assert path.read_text().endswith(f"{whole[:40]}\n{whole}\n")
    assert holds(entry, out)


def test_the_config_digest_covers_everything() -> None:
    config = paper_config()
    digests = {config_sha256(config, (3, 4), "1.0", output="a")}
    digests.add(config_sha256(dataclasses.replace(config, alpha=0.25), (3, 4), "1.0", output="a"))
    digests.add(config_sha256(config, (3, 5), "1.0", output="a"))
    digests.add(config_sha256(config, (3, 4), "1.1", output="a"))
    digests.add(config_sha256(config, (3, 4), "1.0", output="b"))
    assert len(digests) == 5
    assert config_sha256(paper_config(), (3, 4), "1.0", output="a") in digests


def test_limits_touch_failures_alone_and_sizes_count_without_a_photo(tmp_path: Path) -> None:
    config, entry = paper_config(), Entry("in/a.png", "a.png")
    request = Request(config, (Asked("75", {"width": "75%"}),), tmp_path)
    others = dataclasses.replace(request, max_megapixels=60, frames="all")
    assert request_sha256(entry, (3, 4), None, request, config) == request_sha256(entry, (3, 4), None, others, config)
    assert len({request.limits, others.limits, dataclasses.replace(request, max_megapixels=60).limits}) == 3
    # Where the photo's size is not known, no target is, and what was asked for has to tell results apart.
    narrow = dataclasses.replace(request, targets=(Asked("50", {"width": "50%"}),))
    entries = (entry, entry._replace(width="9"), entry._replace(height="9"))
    digests = {request_sha256(each, None, None, asked, config) for each in entries for asked in (request, narrow)}
    assert len(digests) == 4


def test_a_second_run_over_the_same_results_is_refused_while_the_first_lives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "in", [(40, 50)])
    out = tmp_path / "out"
    with own_state(out, "0-of-1"):
        assert main(["batch", f"--input={tmp_path / 'in'}", f"--output_dir={out}", "--workers=0", *TINY]) == 2
    complaint = capsys.readouterr().err
    assert f"another run is at work on {out}, shard 0-of-1: wait for it, or stop it" in complaint
    assert complaint.count("\n") == 1
    assert not results(out)
    with own_state(out, "0-of-1"):  # It is free again.
        pass
