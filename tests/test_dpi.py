"""The resolution in pixels an inch travels from and to every format that has one."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import noise, picture, stored

from dnr_jax.photos.files import read_photo, write_photo
from dnr_jax.photos.kinds import Kind


def exif_with(dpi: tuple[float, float], unit: int = 2, orientation: int = 1) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = orientation, *dpi, unit
    return exif


def found(path: Path) -> tuple[float, ...]:
    """What another reader makes of the file."""
    with PIL.Image.open(path) as image:
        exif = image.getexif()
        return image.info.get("dpi") or tuple(float(exif[tag]) for tag in (0x011A, 0x011B))


SOURCES = {
    **{name: {"dpi": (300, 300)} for name in ("JPEG", "PNG", "TIFF", "BMP")},
    **{name: {"exif": exif_with((300, 300))} for name in ("WEBP", "AVIF")},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("output", ["jpg", "png", "tif", "bmp", "webp"])
def test_the_resolution_travels(tmp_path: Path, source: str, output: str) -> None:
    photo = read_photo(stored(tmp_path, "in", picture(), source, **SOURCES[source]))
    assert photo.kind.dpi == pytest.approx((300, 300), abs=0.1)
    write_photo(tmp_path / f"out.{output}", photo.straight, kind=photo.kind)
    assert found(tmp_path / f"out.{output}") == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("output", ["png", "tif"])
def test_of_16_bits_too(tmp_path: Path, output: str) -> None:
    grey = PIL.Image.fromarray(noise((12, 10), np.uint16))
    photo = read_photo(stored(tmp_path, "in", grey, "PNG", dpi=(72, 144)))
    assert photo.kind.depth == 16
    write_photo(tmp_path / f"out.{output}", photo.straight, kind=photo.kind)
    assert found(tmp_path / f"out.{output}") == pytest.approx((72, 144), abs=0.1)


def test_sides_turn_with_the_photo_and_centimetres_become_inches(tmp_path: Path) -> None:
    exif = exif_with((100, 50), unit=3, orientation=6)
    photo = read_photo(stored(tmp_path, "in", picture(), "WEBP", exif=exif))
    assert photo.kind.dpi == pytest.approx((127, 254))
    write_photo(tmp_path / "out.webp", photo.straight, kind=photo.kind)
    assert found(tmp_path / "out.webp") == (50, 100)
    write_photo(tmp_path / "out.png", photo.straight, kind=photo.kind)
    assert found(tmp_path / "out.png") == pytest.approx((127, 254), abs=0.1)


@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF"])
def test_nothing_is_made_up(tmp_path: Path, source: str) -> None:
    image = PIL.Image.fromarray(picture())
    photo = read_photo(stored(tmp_path, "in", image.quantize() if source == "GIF" else image, source))
    assert photo.kind.dpi is None
    write_photo(tmp_path / "out.png", photo.straight, kind=photo.kind)
    with PIL.Image.open(tmp_path / "out.png") as written:
        assert "dpi" not in written.info


def test_odd_values_are_left_out(tmp_path: Path) -> None:
    assert read_photo(stored(tmp_path, "in", picture(), "WEBP", exif=exif_with((0, 300)))).kind.dpi is None
    assert read_photo(stored(tmp_path, "in", picture(), "WEBP", exif=exif_with((300, 300), unit=1))).kind.dpi is None
    write_photo(tmp_path / "out.jpg", picture(), kind=Kind(dpi=(299.6, 300.4)))
    assert found(tmp_path / "out.jpg") == (300, 300)
