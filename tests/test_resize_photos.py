"""The command on all that people bring: sizes, masks, transparency, animations, pipes, and a look inside."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from drawn_photos import disc_photo, textured_photo
from resize_runs import FAST, SEAMS, run

from dnr_jax.photos.files import read_image, write_image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", textured_photo(64, 96))
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    ("sizes", "shape", "note"),
    [
        (["--size=80x60"], (60, 80), ""),
        (["--aspect=1:1"], (64, 64), "the width shrinks from 96 to 64 pixels"),
        pytest.param(
            *(["--aspect=1:1", "--fit=grow"], (96, 96), "the height grows from 64 to 96 pixels"), marks=pytest.mark.slow
        ),
        (["--max_side=72"], (48, 72), ""),
        pytest.param(["--width=130%", "--height=90%"], (58, 125), "", marks=pytest.mark.slow),
    ],
)
def test_sizes(
    photo: Path, capsys: pytest.CaptureFixture[str], sizes: list[str], shape: tuple[int, int], note: str
) -> None:
    output = photo.parent / "o.png"
    assert run(f"--input={photo}", f"--output={output}", *sizes, *FAST) == 0
    assert read_image(output).shape == (*shape, 3)
    assert note in capsys.readouterr().err


def is_red(image: np.ndarray) -> np.ndarray:
    """Where an image shows the disc, bool [H, W]."""
    return (image[..., 0].astype(int) - image[..., 1]) > 60


def write_photo_and_mask(folder: Path, image: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Writes a photo and the mask of its disc; returns the command's file flags and the mask."""
    disc = is_red(image)
    write_image(folder / "photo.png", image)
    write_image(folder / "mask.png", np.repeat(disc[..., None], 3, -1).astype(np.uint8) * 255)
    return [f"--input={folder / 'photo.png'}", f"--output={folder / 'o.png'}", "--weights=embedded"], disc


@pytest.mark.slow
def test_protect_and_remove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = disc_photo(96, 160, (48, 50), 20)
    files, disc = write_photo_and_mask(tmp_path, image)

    assert run(*files, f"--protect={tmp_path / 'mask.png'}", "--width=60%") == 0
    kept = read_image(tmp_path / "o.png")
    assert kept.shape == (96, 96, 3)
    # The height is what it was, so that the area tells the width, and to less than a pixel.
    assert abs(is_red(kept).sum() / disc.sum() - 1) <= 0.02

    assert run(*files, f"--remove={tmp_path / 'mask.png'}") == 0
    gone = read_image(tmp_path / "o.png")
    assert gone.shape == image.shape
    assert not is_red(gone).any()

    capsys.readouterr()
    assert run(*files, f"--protect={tmp_path / 'mask.png'}", "--width=20%", *FAST) == 0
    assert f"{disc.sum(1).max()} pixels of the width, {disc.sum(1).max() - 32} more than the target" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_protected_object_at_the_border_keeps_its_width(tmp_path: Path) -> None:
    files, disc = write_photo_and_mask(tmp_path, disc_photo(96, 160, (48, 150), 24))  # Cut by the right border.
    assert run(*files, f"--protect={tmp_path / 'mask.png'}", "--width=60%") == 0
    width = is_red(read_image(tmp_path / "o.png")).any(0).sum()
    assert disc.any(0).sum() == 34
    assert width == 34


def test_transparency_follows_the_pixels(tmp_path: Path) -> None:
    image = disc_photo(64, 96, (32, 33), 13)
    cover = np.where((image[..., 0].astype(int) - image[..., 1]) > 60, 255, 0).astype(np.uint8)
    PIL.Image.fromarray(np.dstack([image, cover])).save(tmp_path / "clear.png")
    files = [f"--input={tmp_path / 'clear.png'}", "--width=75%", *FAST]
    assert run(*files, f"--output={tmp_path / 'o.png'}") == 0
    with PIL.Image.open(tmp_path / "o.png") as opened:
        assert opened.mode == "RGBA"
        out = np.asarray(opened).astype(int)
    assert out.shape == (64, 72, 4)
    opaque, red = out[..., 3] > 250, (out[..., 0] - out[..., 1]) > 60
    assert abs(opaque.sum() / red.sum() - 1) < 0.08
    assert red.sum() > 0.85 * (cover > 0).sum()
    # What is opaque is the disc, and the disc alone.
    assert np.abs(np.median(out[opaque], 0)[:3] - [220, 60, 40]).max() <= 3

    assert run(*files, f"--output={tmp_path / 'o.jpg'}") == 2
    assert not (tmp_path / "o.jpg").exists()
    assert run(*files, f"--output={tmp_path / 'o.jpg'}", "--background=white") == 0
    assert read_image(tmp_path / "o.jpg")[0, 0].min() > 245


def test_animations_share_their_seams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [PIL.Image.fromarray(disc_photo(64, 96, (32, x), 14)) for x in (30, 36, 42)]
    path = tmp_path / "moving.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 80, 120], loop=0, lossless=True)
    files = [f"--input={path}", f"--output={tmp_path / 'o.webp'}", "--width=75%", *FAST]
    assert run(*files) == 2
    assert "--frames=all" in capsys.readouterr().err
    assert run(*files, "--frames=all") == 0
    with PIL.Image.open(tmp_path / "o.webp") as opened:
        assert (opened.size, getattr(opened, "n_frames", 1)) == ((72, 64), 3)
        durations, pictures = [], []
        for number in range(3):
            opened.seek(number)
            pictures.append(np.asarray(opened.convert("RGB")).astype(int))
            opened.load()
            durations.append(opened.info["duration"])
    assert durations == [40, 80, 120]
    # The ground does not jitter: only the disc moves, along its own rows.
    assert np.abs(pictures[0][:10] - pictures[2][:10]).max() <= 12


def test_pipes(photo: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dnr_jax.resize",
            "--input=-",
            "--output=-",
            "--width=72",
            "--quiet",
            "--method=scl",  # What a method does is all the same to pipes.
        ],
        input=photo.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert not done.stderr
    with PIL.Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (72, 64))


def test_the_input_is_replaced_only_on_request(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = photo.read_bytes()
    assert run(f"--input={photo}", f"--output={photo}", "--width=72", *FAST) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert photo.read_bytes() == before
    assert run(f"--input={photo}", f"--output={photo}", "--width=72", "--overwrite", *FAST) == 0
    assert read_image(photo).shape == (64, 72, 3)


def test_deep_grey_photos_stay_deep_and_grey(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 65535, 96).astype(np.uint16)[None, :], 64, 0)
    PIL.Image.fromarray(ramp).save(tmp_path / "deep.png")
    assert run(f"--input={tmp_path / 'deep.png'}", f"--output={tmp_path / 'o.png'}", "--width=90", *FAST, *SEAMS) == 0
    with PIL.Image.open(tmp_path / "o.png") as opened:
        assert opened.mode.startswith("I")
        values = np.asarray(opened)
    assert values.shape == (64, 90)
    # Most 16-bit values are none that 8 bits could have held.
    assert (values % 257 != 0).mean() > 0.5
    assert np.isin(values[0], ramp[0]).mean() > 0.5


def test_a_look_inside(photo: Path) -> None:
    folder = photo.parent / "inside"
    args = [f"--input={photo}", f"--output={photo.parent / 'o.png'}", "--width=72", f"--inspect_dir={folder}"]
    assert run(*args, "--snapshot_every=1", *FAST, *SEAMS) == 0
    names = {path.name for path in folder.iterdir()}
    assert {"index.html", "1_photo.png", "3_seams_1_width_block3_conv4.png", "8_result.png"} <= names
    assert {"5_reconstruction_00001.png", "5_reconstruction_00002.png"} <= names


def test_masks_of_another_size_are_refused(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(photo.parent / "mask.png", np.zeros((60, 96, 3), np.uint8))
    args = [f"--input={photo}", f"--output={photo.parent / 'o.png'}", "--width=72"]
    assert run(*args, f"--protect={photo.parent / 'mask.png'}", *FAST) == 2
    err = capsys.readouterr().err
    assert "96x60" in err
    assert "96x64" in err
