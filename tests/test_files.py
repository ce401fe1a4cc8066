"""Photo files: read by content, upright, whatever they are, and written as their names say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import exif_block, file_bytes, ink_profile, noise, picture, stored, turned, wide_profile

from dnr_jax.photos.colour_profiles import srgb_profile
from dnr_jax.photos.encode import FORMATS, encode_photo
from dnr_jax.photos.files import output_format, read_image, read_photo, write_image, write_photo
from dnr_jax.photos.kinds import Kind


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
        write_photo(tmp_path / f"out.{name[2:]}", photo.pixels, kind=photo.kind)
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


def test_standard_input_and_output(tmp_path: Path) -> None:
    program = (
        "from dnr_jax.photos.files import read_photo, write_photo; photo = read_photo('-');"
        " write_photo('-', photo.straight, alpha=photo.alpha, kind=photo.kind);"
        " import sys; assert 'jax' not in sys.modules"
    )
    for data in (file_bytes(noise((8, 8, 4)), "PNG"), encode_photo(picture(), None, Kind(depth=16), "PNG")):
        done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
        assert not done.stderr
        (tmp_path / "in.png").write_bytes(data)
        (tmp_path / "out.png").write_bytes(done.stdout)
        first, second = read_photo(tmp_path / "in.png"), read_photo(tmp_path / "out.png")
        np.testing.assert_array_equal(first.straight, second.straight)
        assert first.kind == second.kind


def test_output_formats() -> None:
    assert {output_format(Path(f"a{suffix}")) for suffix in FORMATS} == set(FORMATS.values())
    assert output_format("A.JPG") == "JPEG"
    assert output_format("-") == output_format("-", kind=Kind(format="AVIF")) == "PNG"
    assert output_format("-", kind=Kind(format="WEBP")) == "WEBP"
    assert output_format("-", kind=Kind(format="TIFF", depth=16)) == "PNG"
    for name in ("a.xyz", "a", "a.", ".png/a"):
        with pytest.raises(ValueError, match=r"cannot write .*\.png, \.jpg, .*\.webp"):
            output_format(Path(name))
