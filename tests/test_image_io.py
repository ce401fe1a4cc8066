"""Photo files: read by content, upright, whatever they are; written atomically; every failure one clear line."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import exif_block, file_bytes, ink_profile, noise, picture, stored, wide_profile

from dnr_jax import atomic, image_io
from dnr_jax.colour_profiles import srgb_profile
from dnr_jax.encode import FORMATS, encode_photo
from dnr_jax.image_io import (
    check_writable,
    encode_image,
    output_format,
    read_image,
    read_mask,
    read_photo,
    write_image,
    write_photo,
)
from dnr_jax.photo_kinds import Kind

TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
"""By orientation: what a camera that was turned stores of an upright picture."""


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    return np.ascontiguousarray(TURNED[orientation](image))


@pytest.mark.parametrize(
    ("name", "most"), [("a.png", 0), ("a.jpg", 6), ("a.webp", 12), ("A.JPEG", 6), ("a.tif", 0), ("a.bmp", 0)]
)
def test_written_photos_come_back(tmp_path: Path, name: str, most: int) -> None:
    write_image(tmp_path / name, picture())
    difference = np.abs(read_image(tmp_path / name).astype(int) - picture())
    assert difference.max() <= most
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("file_format", "most"),
    [
        *(("JPEG", 6), ("PNG", 0), ("WEBP", 20), ("TIFF", 0), ("BMP", 0), ("PPM", 0), ("TGA", 0), ("JPEG2000", 0)),
        *(("AVIF", 30), ("PCX", 0), ("SGI", 0), ("ICO", 0), ("DDS", 0), ("QOI", 0)),
    ],
)
def test_photos_are_read_by_content(tmp_path: Path, file_format: str, most: int) -> None:
    options = (
        {"quality": 95, "subsampling": 0}
        if file_format == "JPEG"
        else {"sizes": [(48, 32)]}
        if file_format == "ICO"
        else {}
    )
    photo = read_photo(stored(tmp_path, "photo.txt", picture(32, 48), file_format, **options))
    assert abs(photo.pixels - picture(32, 48)).max() <= most
    assert photo.pixels.dtype == np.float32
    assert photo.kind.format == file_format
    assert (photo.alpha, photo.kind.depth) == (None, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, file_format: str) -> None:
    path = stored(tmp_path, "a", turned(picture(), orientation), file_format, exif=exif_block(orientation))
    photo = read_photo(path)
    assert photo.size == (24, 40)
    assert abs(photo.pixels - picture()).mean() <= (0 if file_format in ("PNG", "TIFF") else 4)
    assert photo.kind.exif is not None
    exif = PIL.Image.Exif()
    exif.load(photo.kind.exif)
    assert 0x0112 not in exif


@pytest.mark.parametrize("orientation", [3, 6])
def test_deep_and_transparent_photos_are_set_upright(tmp_path: Path, orientation: int) -> None:
    values = noise((6, 9, 4))
    path = stored(tmp_path, "a.png", turned(values, orientation), "PNG", exif=exif_block(orientation))
    photo = read_photo(path)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.straight, values[..., :3])
    np.testing.assert_array_equal(np.rint(photo.alpha * 255), values[..., 3])
    grey = noise((6, 9), np.uint16)
    for file_format in ("PNG", "TIFF"):
        path = stored(tmp_path, "b", turned(grey, orientation), file_format, exif=exif_block(orientation))
        np.testing.assert_array_equal(np.rint(read_photo(path).pixels[..., 0] * 257), grey)


def test_features_see_transparent_photos_on_grey(tmp_path: Path) -> None:
    rgba = noise((8, 8, 4))
    rgba[:4, :, 3], rgba[4, :, 3] = 255, 0
    photo = read_photo(stored(tmp_path, "a.png", rgba, "PNG"))
    np.testing.assert_array_equal(photo.pixels[:4], rgba[:4, :, :3])
    assert (photo.pixels[4] == 128).all()
    np.testing.assert_array_equal(photo.straight, rgba[..., :3])
    assert photo.kind.transparent


@pytest.mark.parametrize(("mode", "key"), [("1", 0), ("L", 30), ("P", 2), ("RGB", (0, 0, 60))])
def test_colour_keys_are_transparency(tmp_path: Path, mode: str, key: int | tuple[int, ...]) -> None:
    image = PIL.Image.fromarray(picture())
    image = image.quantize(8) if mode == "P" else image.convert(mode)
    photo = read_photo(stored(tmp_path, "a.png", image, "PNG", transparency=key))
    clear = np.asarray(image) == np.asarray(key)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha == 0, clear.all(-1) if mode == "RGB" else clear)


def test_cmyk_photos_become_rgb(tmp_path: Path) -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, 8:] = (0, 255, 255, 0)
    image = PIL.Image.fromarray(inks, "CMYK")
    for file_format in ("JPEG", "TIFF"):
        plain = read_photo(stored(tmp_path, "a", image, file_format))
        assert abs(plain.pixels[2, 2] - 255).max() <= 2
        assert abs(plain.pixels[2, 13] - (255, 0, 0)).max() <= 4
        assert "CMYK" in plain.notes[0]
        assert plain.kind.profile == srgb_profile()
        through = read_photo(stored(tmp_path, "b", image, file_format, icc_profile=ink_profile()))
        assert abs(through.pixels[2, 13] - plain.pixels[2, 13]).max() > 10
        assert through.kind.profile == srgb_profile()


def test_broken_metadata_is_ignored_with_a_note(tmp_path: Path) -> None:
    for name, options, said in (
        ("a.jpg", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(40))}, "EXIF"),
        ("b.png", {"exif": b"Exif\0\0nonsense"}, "EXIF"),
        ("c.jpg", {"icc_profile": b"nonsense" * 30}, "profile"),
        ("d.png", {"icc_profile": srgb_profile()[:300]}, "profile"),
        ("e.webp", {"icc_profile": ink_profile()}, "profile"),
    ):
        file_format = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name[2:]]
        photo = read_photo(stored(tmp_path, name, picture(), file_format, **options))
        assert photo.size == (24, 40)
        assert said == "EXIF" or said in photo.notes[0]
        assert photo.kind.profile is None
        write_photo(tmp_path / f"out.{name[2:]}", photo.pixels, None, photo.kind)
    grey = read_photo(stored(tmp_path, "g.png", picture()[..., 0], "PNG", icc_profile=wide_profile()))
    assert "for RGB, not grey" in grey.notes[0]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_makes_no_sense_is_none(tmp_path: Path, orientation: int) -> None:
    photo = read_photo(stored(tmp_path, "a.png", picture(), "PNG", exif=exif_block(orientation)))
    np.testing.assert_array_equal(photo.pixels, picture())


def test_grey_and_palette_photos_become_rgb(tmp_path: Path) -> None:
    grey = stored(tmp_path, "grey.png", picture()[..., 0], "PNG")
    np.testing.assert_array_equal(read_image(grey), np.repeat(picture()[..., :1], 3, -1))
    palette = stored(tmp_path, "palette.png", PIL.Image.fromarray(picture()).quantize(16), "PNG")
    assert read_image(palette).shape == (24, 40, 3)


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


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("folder", "is a directory: give a photo"),
        ("gone.jpg", "no such file"),
        ("folder/gone/a.jpg", "no such file"),
        ("x" * 300, "cannot be read"),
        ("nul\0.jpg", "cannot be read"),
        ("two\nlines.jpg", "no such file"),
    ):
        with pytest.raises(ValueError, match=message) as refused:
            read_photo(tmp_path / name)
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="/dev/null is no plain file"):
        read_photo("/dev/null")


@pytest.mark.parametrize("url", ["http://a.org/b.jpg", "https://a.org/b.jpg", "FTP://a.org/b.jpg"])
def test_addresses_are_refused_with_a_hint(url: str) -> None:
    for source in (url, Path(url)):
        with pytest.raises(ValueError, match=r"curl .* \| python -m dnr_jax\.resize --input=-"):
            read_photo(source)


def test_the_size_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.png", picture(100, 100), "PNG")
    assert read_photo(path, max_megapixels=0.01).size == (100, 100)
    with pytest.raises(ValueError, match=r"a\.png is 100x100 and has more than 0\.0099 megapixels"):
        read_photo(path, max_megapixels=0.0099)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="max_megapixels is"):
            read_photo(path, max_megapixels=wrong)
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


def test_standard_input_and_output(tmp_path: Path) -> None:
    program = (
        "from dnr_jax.image_io import read_photo, write_photo; photo = read_photo('-');"
        " write_photo('-', photo.straight, photo.alpha, photo.kind); import sys; assert 'jax' not in sys.modules"
    )
    for data in (file_bytes(noise((8, 8, 4)), "PNG"), encode_photo(picture(), None, Kind(depth=16), "PNG")):
        done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
        assert not done.stderr
        (tmp_path / "in.png").write_bytes(data)
        (tmp_path / "out.png").write_bytes(done.stdout)
        first, second = read_photo(tmp_path / "in.png"), read_photo(tmp_path / "out.png")
        np.testing.assert_array_equal(first.straight, second.straight)
        assert first.kind == second.kind


def test_nothing_on_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(ValueError, match="standard input is empty"):
        read_photo("-")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="standard input"):
        read_photo("-")


def test_output_formats() -> None:
    assert {output_format(Path(f"a{suffix}")) for suffix in FORMATS} == set(FORMATS.values())
    assert output_format("A.JPG") == "JPEG"
    assert output_format("-") == output_format("-", Kind(format="AVIF")) == "PNG"
    assert output_format("-", Kind(format="WEBP")) == "WEBP"
    assert output_format("-", Kind(format="TIFF", depth=16)) == "PNG"
    for name in ("a.xyz", "a", "a.", ".png/a"):
        with pytest.raises(ValueError, match=r"cannot write .*\.png, \.jpg, .*\.webp"):
            output_format(Path(name))


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

    monkeypatch.setattr(image_io, "write_atomically", denied)
    with pytest.raises(PermissionError, match=r"Permission denied: nothing written.*a\.png'$"):
        write_image(tmp_path / "a.png", picture())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_masks_of_any_mode(tmp_path: Path, mode: str) -> None:
    white = np.zeros((24, 40), bool)
    white[3:9, 30:] = True
    grey = PIL.Image.fromarray(np.where(white, 255, 0).astype(np.uint8))
    if mode == "I;16":
        grey = PIL.Image.fromarray(np.where(white, 40000, 20000).astype(np.uint16))
    else:
        grey = grey.convert(mode)
    path = stored(tmp_path, "mask", grey, "TIFF" if mode == "CMYK" else "PNG")
    np.testing.assert_array_equal(read_mask(path, (24, 40)), white)


def test_masks_turn_upright_and_act_where_they_are_seen(tmp_path: Path) -> None:
    white = picture()[..., 1] > 100
    path = stored(tmp_path, "m.png", turned(np.uint8(255) * white, 6), "PNG", exif=exif_block(6))
    np.testing.assert_array_equal(read_mask(path, (24, 40)), white)
    painted = np.full((24, 40, 4), 255, np.uint8)
    painted[..., 3] = np.where(white, 255, 0)
    np.testing.assert_array_equal(read_mask(stored(tmp_path, "p.png", painted, "PNG"), (24, 40)), white)
    half = stored(tmp_path, "h.png", np.tile(np.array([127, 128], np.uint8), (24, 20)), "PNG")
    np.testing.assert_array_equal(read_mask(half, (24, 40))[0, :2], [False, True])


def test_a_mask_of_another_size_is_refused_with_both(tmp_path: Path) -> None:
    path = stored(tmp_path, "m.png", picture(), "PNG")
    with pytest.raises(ValueError, match=r"m\.png is 40x24 and the photo 24x40 .*give a mask of the photo's size"):
        read_mask(path, (40, 24))
    (tmp_path / "m.png").write_text("white")
    with pytest.raises(ValueError, match=r"m\.png is no image"):
        read_mask(path, (40, 24))


def test_reading_changes_no_setting() -> None:
    before = (PIL.Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    with pytest.raises(ValueError, match="no such file"):
        read_photo("gone.jpg")
    assert (PIL.Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before
    assert encode_image(picture(), "PNG")[:4] == b"\x89PNG"
