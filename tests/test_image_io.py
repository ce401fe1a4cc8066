"""Photo files: orientation, formats, atomic writes, what is refused."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from dnr_jax import atomic
from dnr_jax.image_io import encode_image, read_image, write_image


def picture(height: int = 24, width: int = 40) -> np.ndarray:
    """A smooth photo whose four corners differ."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y / height, 255 * x / width, 60 + 0 * x], -1).astype(np.uint8)


@pytest.mark.parametrize(("name", "most"), [("a.png", 0), ("a.jpg", 6), ("a.webp", 12), ("A.JPEG", 6)])
def test_written_photos_come_back(tmp_path: Path, name: str, most: int) -> None:
    write_image(tmp_path / name, picture())
    difference = np.abs(read_image(tmp_path / name).astype(int) - picture())
    assert difference.max() <= most
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = picture()
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(np.ascontiguousarray(undo(upright))).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), upright)


def test_grey_and_palette_photos_become_rgb(tmp_path: Path) -> None:
    grey = PIL.Image.fromarray(picture()[..., 0])
    grey.save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(picture()[..., :1], 3, -1))
    PIL.Image.fromarray(picture()).quantize(16).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (24, 40, 3)


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(picture())
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes(encode_image(picture(200, 300), "JPEG")[:2000])
    (tmp_path / "cut.png").write_bytes(encode_image(picture(200, 300), "PNG")[:300])
    image.convert("RGBA").save(tmp_path / "clear.png")
    PIL.Image.fromarray(np.zeros((40, 40), np.uint16)).save(tmp_path / "deep.png")
    image.save(tmp_path / "moving.webp", save_all=True, append_images=[image.rotate(180)])
    (tmp_path / "folder").mkdir()
    for name in ("empty.jpg", "text.png", "cut.jpg", "cut.png", "clear.png", "deep.png", "moving.webp", "folder", "no"):
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_image(path, picture())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_image(path, picture()[::-1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.xyz.*\.png"):
        write_image(tmp_path / "a.xyz", picture())
