"""Why photos fail, said in one line each that any terminal can show, and kept in the summary."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from batch_photos import tiny_photo
from batch_runs import run

from dnr_jax.batch import run as loop
from dnr_jax.batch.entries import Entry
from dnr_jax.batch.photo_tasks import read_header


def test_names_that_no_line_can_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.fsencode(tmp_path / "in")
    (tmp_path / "in").mkdir()
    names = (b"two\nlines.tga", b"latin-\xe9.tga", b"latin-\xe9\n.png")
    for name in names:
        try:
            Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"no photo")
        except OSError:
            pytest.skip("no file at a name that is no UTF-8: the file system refuses it")
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict", write_through=True)
    monkeypatch.setattr("sys.stdout", stream)
    figures = run(tmp_path / "out", f"--input={tmp_path / 'in'}", "--fallback_format=none")
    assert (figures.code, figures["photos"]["failed"]) == (1, 3)
    printed = stream.buffer.getvalue().decode()
    failed = [line for line in printed.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 3
    assert {failure["output"] for failure in figures["failures"]} == {os.fsdecode(name) for name in names}
    for part in (r"two\nlines.tga", r"latin-\udce9.tga", r"latin-\udce9\n.png"):
        assert sum(part in line for line in failed) == 1, (part, failed)
    # What is planned is printed too.
    args = [f"--input={tmp_path / 'in'}", "--fallback_format=none", "--retry_failed"]
    (tmp_path / "in" / os.fsdecode(names[2])).unlink()
    monkeypatch.setattr("dnr_jax.batch.dry_run._estimate", lambda *_: "soon")
    assert run(tmp_path / "out", *args, "--dry_run").code == 0
    assert stream.buffer.getvalue().decode().count("cannot be done: ") == 2


def test_what_nobody_has_foreseen_fails_one_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(entry: Entry, *_: Any) -> None:
        raise KeyError("a fault") if entry.output == "a.png" else ValueError("b.png is odd")

    for number, name in enumerate(("a.png", "b.png")):
        (tmp_path / "in").mkdir(exist_ok=True)
        PIL.Image.fromarray(tiny_photo(40, 50, number)).save(tmp_path / "in" / name)
    monkeypatch.setattr(loop, "decode_entry", decode)
    figures = run(tmp_path / "out", f"--input={tmp_path / 'in'}")
    assert (figures.code, figures["photos"]["failed"]) == (1, 2)
    reasons = {failure["output"]: failure["reason"] for failure in figures["failures"]}
    assert reasons["a.png"].endswith("a.png: KeyError: 'a fault' (please report this)")
    assert reasons["b.png"] == "b.png is odd"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_header_with_broken_exif_has_a_size(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    PIL.Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(path, kind, exif=b"Exif\0\0no such thing")
    with PIL.Image.open(path) as image, pytest.raises(SyntaxError):
        image.getexif()
    assert read_header(Entry(str(path), path.name)).size == (40, 50)
