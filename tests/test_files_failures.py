"""Photos that cannot be read and places that cannot be written: every failure one clear line, and nothing lost."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import file_bytes, noise, picture, stored

from dnr_jax import atomic
from dnr_jax.atomic import check_folder
from dnr_jax.photos import files
from dnr_jax.photos.decode import decode
from dnr_jax.photos.files import check_writable, read_image, read_photo, write_image
from dnr_jax.photos.kinds import PhotoError


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return b"".join(parts)


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    large = noise((100, 150, 3))
    contents = {
        "empty.jpg": (b"", "is empty: give a photo"),
        "text.png": (b"no picture", "no image that can be read: give"),
        "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "no image that can be read"),
        **{
            f"cut.{name.lower()}": (file_bytes(large, name, **options)[:cut], "damaged and cannot be read")
            for name, options, cut in (
                *(("JPEG", {}, 2000), ("PNG", {}, 300), ("WEBP", {}, 300), ("BMP", {}, 2000), ("TIFF", {}, 2000)),
                *(("TIFF", {"compression": "tiff_lzw"}, -400), ("GIF", {}, 2000), ("AVIF", {}, -200)),
                *(("JPEG2000", {}, 90), ("PNG", {}, 20), ("JPEG", {}, 20), ("PPM", {}, 90)),
            )
        },
        "bomb.png": (bomb(60000, 60000), "more than 25 megapixels: shrink it first, or raise --max_megapixels"),
        "big.png": (bomb(5000, 5001), "is 5000x5001 and has more than 25 megapixels"),
        "zero.png": (bomb(0, 10), "damaged"),
        "layers.tif": (b"II*\0\x08\0\0\0", "damaged"),
    }
    for name, (data, message) in contents.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ValueError, match=name) as refused:
            read_photo(path)
        assert message in str(refused.value), name
        assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("brands", "heic"),
    [
        ((b"heic", b"mif1", b"heic"), True),
        ((b"mif1", b"mif1", b"heic"), True),
        ((b"msf1",), True),
        ((b"hevx",), True),
        ((b"mif1", b"avif"), False),
        ((b"isom", b"mp41"), False),
    ],
)
def test_heic_photos_are_refused_by_what_they_are(brands: tuple[bytes, ...], heic: bool) -> None:
    box = brands[0] + bytes(4) + b"".join(brands[1:])
    data = struct.pack(">I", 8 + len(box)) + b"ftyp" + box + b"\0\0\0\x10mdat12345678heic"
    with pytest.raises(PhotoError) as refused:
        decode(data, "a.heic", max_megapixels=1, frames="refuse")
    start = (
        "a.heic is a HEIC photo, which cannot be read: convert it to JPEG first (magick photo.heic photo.jpg), or have"
    )
    assert str(refused.value).startswith(start if heic else "a.heic is no image that can be read: give a JPEG")


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("folder", "is a directory, not a file: give a photo"),
        ("gone.jpg", "no such file"),
        ("folder/gone/a.jpg", "no such file"),
        ("x" * 300, "cannot be read"),
        ("nul\0.jpg", "cannot be read"),
        ("two\nlines.jpg", "no such file"),
    ):
        with pytest.raises(ValueError, match=message) as refused:
            read_photo(tmp_path / name)
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="/dev/null is a device, not a file: give a photo"):
        read_photo("/dev/null")


@pytest.mark.parametrize("url", ["http://a.org/b.jpg", "https://a.org/b.jpg", "FTP://a.org/b.jpg"])
def test_addresses_are_refused_with_a_hint(url: str) -> None:
    for source in (url, Path(url)):
        with pytest.raises(ValueError, match=r"curl .* \| python -m dnr_jax\.resize --input=-"):
            read_photo(source)


def test_nothing_on_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(ValueError, match="standard input is empty"):
        read_photo("-")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="standard input"):
        read_photo("-")


def test_the_size_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.png", picture(100, 100), "PNG")
    assert read_photo(path, max_megapixels=0.01).size == (100, 100)
    with pytest.raises(ValueError, match=r"a\.png is 100x100 and has more than 0\.0099 megapixels"):
        read_photo(path, max_megapixels=0.0099)
    for wrong in (0, -1, float("nan"), float("inf"), 1e305, 1.1e6):
        with pytest.raises(ValueError, match=r"max_megapixels is .*: give a number above 0, 1000000 at most$"):
            read_photo(path, max_megapixels=wrong)
    assert read_photo(path, max_megapixels=1e6).size == (100, 100)
    with pytest.raises(ValueError, match="choose refuse or all"):
        read_photo(path, frames="some")  # pyright: ignore[reportArgumentType]


def test_a_raised_limit_goes_beyond_pillows_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    assert read_photo(stored(tmp_path, "a.png", picture(), "PNG")).size == (24, 40)
    assert PIL.Image.MAX_IMAGE_PIXELS == 100


def test_a_file_larger_than_any_photo_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"a\.png is larger than any photo"):
        read_photo(tmp_path / "a.png", max_megapixels=0.01)


def test_what_8_bit_rgb_would_lose_is_refused(tmp_path: Path) -> None:
    stored(tmp_path, "clear.png", noise((8, 8, 4)), "PNG")
    stored(tmp_path, "deep.png", noise((8, 8), np.uint16), "PNG")
    image = PIL.Image.fromarray(picture())
    stored(tmp_path, "moving.webp", image, "WEBP", save_all=True, append_images=[image.rotate(180)])
    for name in ("clear.png", "deep.png", "moving.webp"):
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_image(path, picture())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*a\.png"):
        write_image(path, picture()[::-1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written_to_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.png").mkdir()
    for path, message in (
        (tmp_path / "gone" / "a.png", r"gone is no directory, create it first"),
        (tmp_path / "folder.png", "is a directory, give a file name"),
    ):
        with pytest.raises(ValueError, match=message):
            check_writable(path)
        with pytest.raises(ValueError, match=message):
            write_image(path, picture())
    with pytest.raises(ValueError, match=r"a\.xyz.*\.png"):
        write_image(tmp_path / "a.xyz", picture())
    check_writable("-")

    def denied(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", f"{path}.tmp")

    monkeypatch.setattr(files, "write_atomically", denied)
    with pytest.raises(PermissionError, match=r"Permission denied: nothing written.*a\.png'$"):
        write_image(tmp_path / "a.png", picture())


def test_places_without_permission_or_with_too_long_a_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{'x' * 300}.png"
    with pytest.raises(ValueError, match=r"xx\.png: the name is too long, give a shorter one$"):
        check_writable(path)
    check_writable(tmp_path / f"{'x' * 251}.png")
    asked = []

    def deny(path: Path, mode: int) -> bool:  # The system itself denies nothing to root.
        asked.append((path, mode))
        return False

    monkeypatch.setattr(atomic.os, "access", deny)
    with pytest.raises(ValueError, match=r"cannot write .*a\.png: .* may not be written to, choose another place$"):
        check_writable(tmp_path / "a.png")
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


def test_folders_that_cannot_be_made_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, Path(), Path("a"), Path("a/b"), tmp_path / "a" / "b" / "c"):
        check_folder(folder)
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("file", "file/a/b", "dangling", "dangling/a"):
        for folder in (Path(name), tmp_path / name):
            with pytest.raises(ValueError, match=f"cannot write to .*: .*{name[:4]}.* is no directory, name another"):
                check_folder(folder)
    for name in ("x" * 300, f"a/{'x' * 300}/b"):
        with pytest.raises(ValueError, match="a name is too long, give a shorter one"):
            check_folder(Path(name))
    monkeypatch.setattr(atomic.os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(ValueError, match=r"cannot write to .*a/b: .* may not be written to, choose another place$"):
        check_folder(tmp_path / "a/b")


def test_reading_changes_no_setting() -> None:
    before = (PIL.Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    with pytest.raises(ValueError, match="no such file"):
        read_photo("gone.jpg")
    assert (PIL.Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before
