"""What a photo was, it is again when written: mode, palette, depth, alpha, profile and EXIF."""

import dataclasses
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import exif_block, file_bytes, noise, picture, stored, wide_profile

from dnr_jax.photos.colour_profiles import from_srgb, srgb_profile
from dnr_jax.photos.deep_pixels import encode_png16
from dnr_jax.photos.encode import check_output, encode_photo
from dnr_jax.photos.files import read_photo, write_photo
from dnr_jax.photos.kinds import Kind, Photo

LOSSLESS = [".png", ".tif", ".bmp"]


def rewrite(photo: Photo, path: Path, **options: tuple[int, int, int] | None) -> PIL.Image.Image:
    write_photo(path, photo.straight, alpha=photo.alpha, kind=photo.kind, **options)
    with PIL.Image.open(path) as image:
        image.load()
        return image


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".jpg", ".gif"])
@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_stays_grey(tmp_path: Path, suffix: str, mode: str) -> None:
    grey = PIL.Image.fromarray(picture()[..., 0]).convert(mode)
    photo = read_photo(stored(tmp_path, "in.png", grey, "PNG"))
    assert photo.kind.mode == "grey"
    image = rewrite(photo, tmp_path / f"out{suffix}")
    assert image.mode == ("P" if suffix == ".gif" else "L")
    assert abs(np.asarray(image.convert("L")).astype(int) - np.asarray(grey.convert("L"))).max() <= (
        40 if suffix == ".jpg" else 0
    )


def test_a_grey_photo_whose_channels_drifted_apart_is_written_by_luma(tmp_path: Path) -> None:
    photo = read_photo(stored(tmp_path, "in.png", PIL.Image.fromarray(picture()[..., 0]), "PNG"))
    drifted = photo.pixels + np.array([0, 10, 0], np.float32)
    write_photo(tmp_path / "out.png", drifted, kind=photo.kind)
    with PIL.Image.open(tmp_path / "out.png") as image:
        assert image.mode == "L"
        difference = np.asarray(image).astype(float) - np.minimum(picture()[..., 0] + 5.87, 255)
    assert abs(difference).max() <= 4.2


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".gif", ".webp"])
def test_a_palette_photo_keeps_its_colours_exactly(tmp_path: Path, suffix: str) -> None:
    source = PIL.Image.fromarray(picture(60, 80)).quantize(16)
    photo = read_photo(stored(tmp_path, "in.png", source, "PNG"))
    assert (photo.kind.mode, photo.kind.colours) == ("palette", len(source.getcolors() or []))
    image = rewrite(photo, tmp_path / f"out{suffix}")
    assert image.mode == ("RGB" if suffix == ".webp" else "P")
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.asarray(source.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_a_changed_palette_photo_has_no_new_colours(tmp_path: Path, suffix: str) -> None:
    source = PIL.Image.fromarray(picture(60, 80)).quantize(16)
    photo = read_photo(stored(tmp_path, "in.png", source, "PNG"))
    changed = photo.pixels[::-1] + noise(photo.pixels.shape) / np.float32(20)
    write_photo(tmp_path / f"out{suffix}", changed, kind=photo.kind)
    again = read_photo(tmp_path / f"out{suffix}")
    had = {tuple(colour) for colour in photo.pixels.reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in again.pixels.reshape(-1, 3).tolist()} <= had
    assert abs(again.pixels - photo.pixels[::-1]).mean() < 8


def test_palette_neighbours_a_level_apart_stay_apart(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "P")
    image.putpalette([value for i in range(64) for value in (200 + i % 4, 100 + i // 4 % 4, i // 16)])
    photo = read_photo(stored(tmp_path, "in.png", image, "PNG"))
    assert photo.kind.colours == 64
    again = rewrite(photo, tmp_path / "out.png")
    np.testing.assert_array_equal(np.asarray(again.convert("RGB")), photo.pixels)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept(tmp_path: Path, suffix: str, mode: str) -> None:
    smooth = np.concatenate([picture(), picture()[::-1, :, :1]], -1)
    source = PIL.Image.fromarray(smooth).convert(mode)
    photo = read_photo(stored(tmp_path, "in.png", source, "PNG"))
    assert photo.kind.mode == ("grey" if mode == "LA" else "rgb")
    assert photo.alpha is not None
    image = rewrite(photo, tmp_path / f"out{suffix}")
    assert image.mode == ("RGBA" if suffix == ".webp" else mode)
    np.testing.assert_array_equal(np.asarray(image)[..., -1], smooth[..., 3])
    if suffix != ".webp":
        np.testing.assert_array_equal(np.asarray(image), np.asarray(source))


def test_a_transparent_palette_is_kept(tmp_path: Path) -> None:
    source = PIL.Image.fromarray(picture()).quantize(8)
    path = stored(tmp_path, "in.png", source, "PNG", transparency=bytes((0, 255, 128, 255, 255, 255, 255, 255)))
    photo = read_photo(path)
    assert photo.kind.mode == "palette"
    image = rewrite(photo, tmp_path / "out.png")
    assert image.mode == "P"
    again = read_photo(tmp_path / "out.png")
    assert again.alpha is not None
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    np.testing.assert_array_equal(again.alpha, photo.alpha)
    with pytest.raises(ValueError, match="half transparent"):
        write_photo(tmp_path / "out.gif", photo.straight, alpha=photo.alpha, kind=photo.kind)
    image = rewrite(photo, tmp_path / "out.gif", background=(255, 255, 255))
    assert not image.has_transparency_data


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_needs_a_background_where_it_cannot_be_kept(tmp_path: Path, suffix: str) -> None:
    rgba = np.full((16, 16, 4), 100, np.uint8)
    rgba[:8, :, 3] = 0
    rgba[8:, :, 3] = 255
    photo = read_photo(stored(tmp_path, "in.png", rgba, "PNG"))
    with pytest.raises(ValueError, match=rf"out\{suffix}: .* cannot hold this photo's transparency: give --background"):
        write_photo(tmp_path / f"out{suffix}", photo.straight, alpha=photo.alpha, kind=photo.kind)
    assert not (tmp_path / f"out{suffix}").exists()
    shown = np.asarray(rewrite(photo, tmp_path / f"out{suffix}", background=(250, 200, 10)).convert("RGB")).astype(int)
    assert abs(shown[:6] - (250, 200, 10)).max() <= 3
    assert abs(shown[10:] - 100).max() <= 3


def test_a_background_also_flattens_what_could_stay_transparent(tmp_path: Path) -> None:
    la = np.stack([np.full((4, 4), 50), np.tile([0, 255], (4, 2))], -1).astype(np.uint8)
    photo = read_photo(stored(tmp_path, "in.png", la, "PNG"))
    assert rewrite(photo, tmp_path / "grey.png", background=(9, 9, 9)).mode == "L"
    image = rewrite(photo, tmp_path / "red.png", background=(255, 0, 0))
    assert image.mode == "RGB"
    assert np.asarray(image)[0, :2].tolist() == [[255, 0, 0], [50, 50, 50]]


def test_an_opaque_alpha_channel_is_no_transparency(tmp_path: Path) -> None:
    photo = read_photo(stored(tmp_path, "in.png", PIL.Image.fromarray(picture()).convert("RGBA"), "PNG"))
    assert photo.alpha is None
    assert rewrite(photo, tmp_path / "out.jpg").mode == "RGB"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_stay(tmp_path: Path, channels: int) -> None:
    values = noise((12, 10, channels), np.uint16)
    (tmp_path / "in.png").write_bytes(encode_png16(values, exif=exif_block()))
    photo = read_photo(tmp_path / "in.png")
    write_photo(tmp_path / "out.png", photo.straight, alpha=photo.alpha, kind=photo.kind)
    assert (tmp_path / "out.png").read_bytes()[24] == 16
    again = read_photo(tmp_path / "out.png")
    np.testing.assert_array_equal(again.straight, photo.straight)
    assert again.kind == photo.kind
    if photo.alpha is not None:
        np.testing.assert_array_equal(again.alpha, photo.alpha)
    if channels == 1:
        image = rewrite(photo, tmp_path / "out.tif")
        np.testing.assert_array_equal(np.asarray(image), values[..., 0])
    for name in ("out.jpg", "out.webp", "out.bmp", "out.gif", *(["out.tiff"] if channels > 2 else [])):
        with pytest.raises(ValueError, match=r"16 bits a channel: write a \.png"):
            write_photo(tmp_path / name, photo.straight, kind=photo.kind)
    write_photo(tmp_path / "cut.jpg", photo.straight, kind=dataclasses.replace(photo.kind, depth=8))


@pytest.mark.parametrize("name", ["out.jpg", "out.png", "out.webp", "out.tif"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_and_profile_travel(tmp_path: Path, name: str, source: str) -> None:
    path = stored(tmp_path, "in", picture(), source, exif=exif_block(6), icc_profile=srgb_profile())
    photo = read_photo(path)
    assert photo.size == (40, 24)
    assert not photo.notes
    image = rewrite(photo, tmp_path / name)
    exif = image.getexif()
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "Camera & Sons"
    inner = exif.get_ifd(0x8769)
    assert inner[0x9003] == "2024:05:06 07:08:09"
    assert 0xA002 not in inner
    assert exif.get_ifd(0x8825)[2] == (47.0, 30.0, 12.0)
    assert image.info["icc_profile"] == srgb_profile()
    assert image.size == (24, 40)


def test_exif_too_long_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x010E] = "x" * 70000
    photo = read_photo(stored(tmp_path, "in.png", picture(), "PNG", exif=exif))
    assert rewrite(photo, tmp_path / "out.png").getexif()[0x010E] == "x" * 70000
    assert not rewrite(photo, tmp_path / "out.jpg").getexif()


def test_a_wide_gamut_photo_keeps_its_profile_and_colours(tmp_path: Path) -> None:
    muted = PIL.Image.fromarray((80 + picture() * 0.35).astype(np.uint8))
    wide = from_srgb(muted, wide_profile())
    photo = read_photo(stored(tmp_path, "in.png", wide, "PNG", icc_profile=wide_profile()))
    assert photo.kind.converted
    assert abs(photo.pixels - np.asarray(muted)).max() <= 2
    image = rewrite(photo, tmp_path / "out.png")
    assert image.info["icc_profile"] == wide_profile()
    assert abs(np.asarray(image).astype(int) - np.asarray(wide)).max() <= 2
    image = rewrite(photo, tmp_path / "out.bmp")
    assert abs(np.asarray(image).astype(int) - np.asarray(muted)).max() <= 2


def test_vivid_photos_keep_their_numbers(tmp_path: Path) -> None:
    vivid = np.tile(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8), (8, 4, 1))
    photo = read_photo(stored(tmp_path, "in.png", vivid, "PNG", icc_profile=wide_profile()))
    assert "outside sRGB" in photo.notes[0]
    image = rewrite(photo, tmp_path / "out.png")
    assert image.info["icc_profile"] == wide_profile()
    np.testing.assert_array_equal(np.asarray(image), vivid)
    shown = np.asarray(rewrite(photo, tmp_path / "out.bmp"))
    assert shown[0, 1, 1] == 255
    palette = read_photo(
        stored(tmp_path, "p.png", PIL.Image.fromarray(vivid).quantize(4), "PNG", icc_profile=wide_profile())
    )
    assert rewrite(palette, tmp_path / "p2.png").info["icc_profile"] == wide_profile()
    assert rewrite(palette, tmp_path / "p2.gif").mode == "P"


def test_a_background_is_srgb_whatever_the_profile(tmp_path: Path) -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[0, 0] = (255, 0, 0, 255)
    photo = read_photo(stored(tmp_path, "in.png", rgba, "PNG", icc_profile=wide_profile()))
    image = rewrite(photo, tmp_path / "out.png", background=(200, 30, 30))
    expected = np.asarray(from_srgb(PIL.Image.new("RGB", (1, 1), (200, 30, 30)), wide_profile()))[0, 0]
    assert np.asarray(image)[3, 3].tolist() == expected.tolist() != [200, 30, 30]


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    photo = read_photo(stored(tmp_path, "in.webp", noise((20, 20, 3)), "WEBP", lossless=True))
    np.testing.assert_array_equal(np.asarray(rewrite(photo, tmp_path / "out.webp")), photo.pixels)
    lossy = read_photo(stored(tmp_path, "in2.webp", noise((20, 20, 3)), "WEBP"))
    assert not lossy.kind.lossless


@pytest.mark.parametrize(
    ("kind", "file_format", "size", "message"),
    [
        (Kind(), "GIF", None, "256 colours"),
        (Kind(), "XCF", None, "cannot write XCF: choose BMP"),
        (Kind(), "JPEG", (10, 70000), "at most 65500 pixels, not 70000"),
        (Kind(), "WEBP", (16384, 10), "at most 16383"),
        (Kind(transparent=True), "JPEG", None, "--background"),
        (Kind(mode="grey", transparent=True), "GIF", None, "--background"),
        (Kind(depth=16, mode="grey", transparent=True), "TIFF", None, "16 bits"),
    ],
)
def test_outputs_are_checked_beforehand(
    kind: Kind, file_format: str, size: tuple[int, int] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_output(kind, file_format, size=size)


def test_arrays_are_checked() -> None:
    for pixels in (np.zeros((4, 4)), np.zeros((4, 4, 4)), np.zeros((0, 4, 3)), np.full((4, 4, 3), np.nan)):
        with pytest.raises(ValueError, match="give finite"):
            encode_photo(pixels, None, Kind(), "PNG")
    with pytest.raises(ValueError, match="alpha is"):
        encode_photo(np.zeros((4, 4, 3)), np.zeros((4, 5)), Kind(), "PNG")


def test_the_same_photo_gives_the_same_bytes() -> None:
    for file_format in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        first, second = (encode_photo(picture(), None, Kind(), file_format) for _ in range(2))
        assert first == second
    assert file_bytes(picture(), "PNG") == encode_photo(picture(), None, Kind(), "PNG")
