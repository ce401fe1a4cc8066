"""The command with several targets: one look at the photo, a file and a record for each."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from drawn_photos import textured_photo
from resize_runs import FAST, SEAMS, run

from dnr_jax import sight
from dnr_jax.photos.files import read_image, write_image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in/photo.png", textured_photo(64, 96))
    return tmp_path / "in/photo.png"


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_target_is_what_it_is_alone(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = []
    whole = sight.see_frames
    monkeypatch.setattr(sight, "see_frames", lambda *args: looks.append(1) or whole(*args))
    out = tmp_path / "out"
    out.mkdir()
    common = [f"--input={photo}", *FAST, *SEAMS]
    record = tmp_path / "run.json"
    assert run(*common, f"--output={out / 'o.png'}", "--aspect=1:1,5:4", f"--record={record}") == 0
    assert looks == [1]
    assert names(out) == ["o_1x1.png", "o_5x4.png"]
    printed = capsys.readouterr().err
    assert "aspect 1:1: the width shrinks from 96 to 64 pixels" in printed
    assert "aspect 5:4: the width shrinks from 96 to 80 pixels" in printed
    records = json.loads(record.read_text())
    assert [(one["target"], one["target_size"], one["output_size"]) for one in records] == [
        ("1x1", [64, 64], [64, 64]),
        ("5x4", [64, 80], [64, 80]),
    ]
    assert [one["output"] for one in records] == [str(out / "o_1x1.png"), str(out / "o_5x4.png")]
    for name, aspect in (("o_1x1.png", "1:1"), ("o_5x4.png", "5:4")):
        assert run(*common, f"--output={tmp_path / name}", f"--aspect={aspect}") == 0
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_uses_have_their_exact_pixels(photo: Path, tmp_path: Path) -> None:
    args = ["--for=instagram_square,youtube", "--method=scl", f"--output={tmp_path / '{target}_{width}x{height}.jpg'}"]
    assert run(f"--input={photo}", *args) == 0
    sizes = {}
    for path in tmp_path.glob("*.jpg"):
        with PIL.Image.open(path) as image:
            sizes[path.name] = image.size
    assert sizes == {"instagram_square_1080x1080.jpg": (1080, 1080), "youtube_1280x720.jpg": (1280, 720)}


@pytest.mark.slow
def test_a_use_is_the_retargeted_photo_scaled_plainly(photo: Path, tmp_path: Path) -> None:
    common = [f"--input={photo}", *FAST]
    assert run(*common, "--for=instagram_square", f"--output={tmp_path / 'use.png'}") == 0
    assert run(*common, "--aspect=1:1", f"--output={tmp_path / 'aspect.png'}") == 0
    large = PIL.Image.fromarray(read_image(tmp_path / "aspect.png")).resize((1080, 1080), PIL.Image.Resampling.BICUBIC)
    assert np.abs(read_image(tmp_path / "use.png").astype(float) - np.asarray(large)).max() <= 2


@pytest.mark.slow
def test_folders_for_targets_and_their_inspection(photo: Path, tmp_path: Path) -> None:
    for name in ("75", "80"):
        (tmp_path / name).mkdir()
    args = [f"--output={tmp_path / '{target}/photo.png'}", f"--inspect_dir={tmp_path / 'look'}"]
    assert run(f"--input={photo}", "--width=75%,80", *args, *FAST) == 0
    assert [read_image(tmp_path / name / "photo.png").shape[1] for name in ("75", "80")] == [72, 80]
    assert {"75/index.html", "80/index.html"} <= set(names(tmp_path / "look"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--width=75%,50%", "--output=-"], "standard output holds one photo"),
        (["--width=75%,50%", "--height=1,2,3", "--output=o.png"], "--width 2 and --height 3 values"),
        (["--width=75%,nan", "--output=o.png"], "--width is 'nan'"),
        (["--width=75%,400", "--output=o.png"], "from 10 to 384 pixels"),
        (["--width=75%,72", "--output=o_{width}.png"], "two targets would both be written to o_72.png"),
        (["--for=story,vine", "--output=o.png"], "--for is 'vine': choose any of instagram"),
        (["--for=story", "--aspect=1:1", "--output=o.png"], "so --aspect would contradict it"),
        (["--width=75%,50%", "--output={target}/o.png"], "75 is no directory, create it first"),
        (["--width=75%,50%", "--output=o.{target}"], "cannot write o.{target}"),
        (["--aspect=1:1,2:1", "--output=mine.png"], "mine_2x1.png is the input as well"),
        (["--output=o.png", "--record=./mine_2x1.png"], "the record would replace ./mine_2x1.png, the file of --input"),
        (
            ["--output=o.png", "--record=mine_2x1.png", "--overwrite"],
            "the record would replace mine_2x1.png, the file of --input",
        ),
        (
            ["--output=o_{width}.png", "--record=mine_2x1.png"],
            "the record would replace mine_2x1.png, the file of --input",
        ),
        (["--output=o.png", "--record=../in/o.png"], "the record would replace the result, o.png: give --record"),
        (
            ["--aspect=1:1,2:1", "--output=o.png", "--record=o_1x1.png"],
            "the record would replace the result, o_1x1.png",
        ),
        (
            ["--width=72", "--output=o_{width}.png", "--record=o_72.png"],
            "the record would replace the result, o_72.png",
        ),
        (
            ["--output=-", "--record=-"],
            "standard output holds the photo, and would hold the record as well: give --rec",
        ),
    ],
)
def test_what_cannot_be_done_for_all_is_refused_before_any_work(
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(photo.parent)
    monkeypatch.setattr("dnr_jax.methods.run_method", lambda *_: pytest.fail("there was work"))
    photo.rename("mine_2x1.png")
    assert run("--input=mine_2x1.png", *args) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("dnr_jax.resize: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert names(photo.parent) == ["mine_2x1.png"]


@pytest.mark.slow
def test_frames_of_an_animation_reach_every_target(tmp_path: Path) -> None:
    frames = [PIL.Image.fromarray(np.roll(textured_photo(64, 96), 9 * n, 1)) for n in range(2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    args = [f"--input={tmp_path / 'a.webp'}", f"--output={tmp_path / 'b.webp'}", "--frames=all"]
    assert run(*args, "--width=80,72", *FAST) == 0
    for name, width in (("b_80.webp", 80), ("b_72.webp", 72)):
        with PIL.Image.open(tmp_path / name) as image:
            assert (image.size, getattr(image, "n_frames", 1)) == ((width, 64), 2)
