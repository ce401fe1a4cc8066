"""--objects of the command: what it takes, what that changes, and what it refuses before anything is written."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from drawn_photos import disc_photo
from resize_runs import FAST, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo of a disc, and masks: its right half in white, black everywhere, too small, and no image at all."""
    photo = disc_photo(64, 96, (32, 33), 13)
    half = np.zeros((64, 96), np.uint8)
    half[:, 66:] = 255
    for name, pixels in {"photo": photo, "half": half, "black": 0 * half, "small": half[:-1]}.items():
        PIL.Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("no image")
    return tmp_path


def narrow(folder: Path, *args: str) -> tuple[int, dict]:
    """Runs the command; its exit code and its record."""
    files = [f"--input={folder / 'photo.png'}", f"--output={folder / 'o.png'}", f"--record={folder / 'o.json'}"]
    code = run(*files, "--width=58", *FAST, *args)
    return code, json.loads((folder / "o.json").read_text()) if code == 0 else {}


def digest(path: str) -> str:
    return hashlib.sha256((np.asarray(PIL.Image.open(path), np.float32) / 255).tobytes()).hexdigest()


def test_a_mask_says_what_the_photo_is_of(folder: Path) -> None:
    warps = {}
    for objects in ("auto", "none", str(folder / "half.png")):
        code, record = narrow(folder, f"--objects={objects}", *(["--keep=objects"] if objects == "auto" else []))
        assert code == 0
        warps[objects] = record["warps"]
        assert record["config"]["objects"] == ("none" if objects == "none" else "auto")
        given = {} if objects in ("auto", "none") else {"objects": {"file": objects, "sha256": digest(objects)}}
        assert record["masks"] == given
    assert warps["auto"]["width"]["cropped"][1] > 0, "the disc is at the left, so the right gives way"
    assert warps[str(folder / "half.png")]["width"]["cropped"][1] == 0, "what the mask marks is never cropped"
    assert warps["auto"] != warps["none"]


def test_a_mask_may_come_from_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = folder / "half.png"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(half.read_bytes())))
    code, record = narrow(folder, "--objects=-")
    assert code == 0
    assert record["masks"] == {"objects": {"file": "-", "sha256": digest(str(half))}}


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("small.png", "96x63 and the photo 96x64"),
        ("black.png", "black everywhere: mark what the photo is of"),
        ("text.png", "text.png"),
        ("missing.png", "missing.png"),
    ],
)
def test_masks_that_cannot_serve_are_refused_in_one_line(
    folder: Path, mask: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = narrow(folder, f"--objects={folder / mask}")
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (folder / "o.png").exists()


@pytest.mark.parametrize("objects", ["none", "half.png"])
@pytest.mark.parametrize("flag", ["--keep=faces", "--face_weight=0.5", "--object_weight=0.5", "--word_weight=0.5"])
def test_what_would_have_no_effect_is_refused(
    folder: Path, objects: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = narrow(folder, f"--objects={folder / objects if '.' in objects else objects}", flag)
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{flag.partition('=')[0]} has no effect" in line
    assert not (folder / "o.png").exists()


def test_the_record_says_what_was_looked_for(folder: Path) -> None:
    for keep, kinds in (("objects", set()), ("words,faces", {"faces", "words"})):
        code, record = narrow(folder, f"--keep={keep}")
        assert code == 0
        assert set(record["seen"]) == kinds
        assert set(record["config"]["keep"]) == set(keep.split(","))
