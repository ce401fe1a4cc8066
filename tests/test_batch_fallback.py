"""Photos whose own format cannot be written: PNG by default, and known before anything is decoded."""

import json
from pathlib import Path

import PIL.Image
import pytest
from batch_photos import results, tiny_photo
from batch_runs import run

from dnr_jax.batch import run as loop
from dnr_jax.batch.entries import Entry, Extensions
from dnr_jax.batch.manifests import read_manifest
from dnr_jax.batch.searching import find_entries
from dnr_jax.photos.files import read_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos as TGA, PCX and PNG."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate(("a.tga", "b.PCX", "c.png")):
        PIL.Image.fromarray(tiny_photo(40, 50, number)).save(folder / name)
    return folder


def test_extensions_of_outputs() -> None:
    assert Extensions().name("a/b.TGA") == ("a/b.png", True)
    assert Extensions().name("a/b.JPEG") == ("a/b.JPEG", False)
    assert Extensions().name("a.b/c") == ("a.b/c.png", True)
    assert Extensions(fallback=".webp").name("a.avif") == ("a.webp", True)
    assert Extensions(".jpg").name("a.tga") == ("a.jpg", False)
    assert Extensions(fallback=None).name("a.tga") == ("a.tga", False)


def test_entries_say_which_they_are(photos: Path, tmp_path: Path) -> None:
    entries = find_entries(str(photos), tmp_path / "out", Extensions())
    assert [(entry.output, entry.fallback) for entry in entries] == [
        ("a.png", True),
        ("b.png", True),
        ("c.png", False),
    ]
    (tmp_path / "list.jsonl").write_text('{"path": "a.tga"}\n{"path": "a.tga", "output": "named.tga"}\n')
    entries = list(read_manifest(tmp_path / "list.jsonl", Extensions()))
    assert entries == [
        Entry(str(tmp_path / "a.tga"), "a.png", fallback=True),
        Entry(str(tmp_path / "a.tga"), "named.tga"),
    ]
    (photos / "c.tga").touch()
    with pytest.raises(
        ValueError,
        match=r"c\.png and .*c\.tga would both be written to c\.png: .* give another --format or --fallback_format",
    ):
        find_entries(str(photos), tmp_path / "out", Extensions())
    entries = find_entries(str(photos), tmp_path / "out", Extensions(fallback=".webp"))
    assert [entry.output for entry in entries] == ["a.webp", "b.webp", "c.png", "c.webp"]


@pytest.mark.slow
def test_a_batch_writes_them_as_png_and_says_so(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = run(tmp_path / "out", f"--input={photos}")
    assert figures.code == 0
    assert list(results(tmp_path / "out")) == ["a.png", "b.png", "c.png"]
    assert read_photo(tmp_path / "out/a.png").size == (40, 38)
    assert figures["fallback_format"] == {".pcx": 1, ".tga": 1}
    assert "because their own cannot be written: 1 .pcx, 1 .tga" in capsys.readouterr().out
    lines = (tmp_path / "out/.dnr-batch/finished-0-of-1.jsonl").read_text().splitlines()
    notes = {line["output"]: line.get("notes", []) for line in map(json.loads, lines)}
    assert notes["a.png"] == notes["b.png"] == ["its own format cannot be written: it is .png now"]
    assert notes["c.png"] == []
    again = run(tmp_path / "out", f"--input={photos}")
    assert again["photos"]["skipped"] == 3


def test_without_a_fallback_they_fail_before_they_are_decoded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    real = loop.decode_entry

    def decode(entry: Entry, *args) -> object:
        decoded.append(Path(entry.path).name)
        return real(entry, *args)

    monkeypatch.setattr(loop, "decode_entry", decode)
    (photos / "c.png").write_bytes(b"no photo")  # It is decoded, and needs no program.
    figures = run(tmp_path / "out", f"--input={photos}", "--fallback_format=none")
    assert (figures.code, figures["photos"]["done"], figures["photos"]["failed"]) == (1, 0, 3)
    assert decoded == ["c.png"]
    reasons = {failure["output"]: failure["reason"] for failure in figures["failures"]}
    assert "a.tga: cannot write a.tga: give --fallback_format=png" in reasons["a.tga"]
    assert sorted(reasons) == ["a.tga", "b.PCX", "c.png"]
