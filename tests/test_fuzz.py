"""Damaged photo files of five formats: a photo with finite pixels in range, or one clear line; nothing else."""

import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_files import exif_block, file_bytes, noise

from dnr_jax.photos.colour_profiles import srgb_profile
from dnr_jax.photos.encode import encode_animation, encode_photo
from dnr_jax.photos.files import output_format, read_photo
from dnr_jax.photos.kinds import Kind, Photo, PhotoError

EXAMPLES = 100
"""Of each format."""


def samples() -> dict[str, list[bytes]]:
    """Small files of five formats, several kinds of each."""
    rgba = PIL.Image.fromarray(noise((11, 14, 4), seed=3))
    rgb, palette = rgba.convert("RGB"), rgba.convert("RGB").quantize(16)
    moving = {"save_all": True, "append_images": [rgba.rotate(180)], "duration": 40}
    metadata = {"exif": exif_block(6), "icc_profile": srgb_profile()}
    return {
        "jpeg": [file_bytes(rgb, "JPEG", **metadata), *(file_bytes(rgba.convert(m), "JPEG") for m in ("L", "CMYK"))],
        "png": [
            *(file_bytes(rgba, "PNG", **metadata), file_bytes(palette, "PNG", transparency=2)),
            *(file_bytes(rgba, "PNG", **moving), encode_photo(np.asarray(rgb), None, Kind(depth=16), "PNG")),
        ],
        "webp": [
            file_bytes(rgba, "WEBP", **metadata),
            file_bytes(rgb, "WEBP", lossless=True),
            file_bytes(rgba, "WEBP", **moving),
        ],
        "tiff": [
            *(file_bytes(rgb, "TIFF", **metadata), file_bytes(rgba, "TIFF", compression="tiff_lzw")),
            *(file_bytes(noise((9, 8), np.uint16), "TIFF"), file_bytes(palette, "TIFF", compression="packbits")),
        ],
        "gif": [file_bytes(palette, "GIF", transparency=1), file_bytes(rgba, "GIF", **moving)],
    }


SAMPLES = samples()


def edits(length: int) -> st.SearchStrategy[list[tuple[str, int, bytes]]]:
    """Up to three changes: what kind, where (often in the first bytes, where headers are), with which bytes."""
    where = st.one_of(st.integers(8, 63), st.integers(8, length - 1), st.integers(0, length - 1))
    kinds = st.sampled_from(["flip", "flip", "write", "cut", "drop", "splice"])
    return st.lists(st.tuples(kinds, where, st.binary(min_size=1, max_size=12)), min_size=1, max_size=3)


def edited(data: bytes, changes: list[tuple[str, int, bytes]], other: bytes) -> bytes:
    result = bytearray(data)
    for kind, at, content in changes:
        if kind == "flip" and at < len(result):
            result[at] ^= content[0] or 1
        elif kind == "write":
            result[at : at + len(content)] = content
        elif kind == "cut":
            del result[max(at, len(result) // 4) :]
        elif kind == "drop":
            del result[at : at + len(content)]
        elif kind == "splice":
            result[at:at] = other[content[0] : content[0] + 8 * len(content)]
    return bytes(result)


def resealed(data: bytes) -> bytes:
    """A PNG with the checksums of its chunks made right, so that the damage gets past them."""
    result, at = bytearray(data), 8
    while at + 12 <= len(result):
        end = at + 8 + int.from_bytes(result[at : at + 4], "big")
        if end + 4 <= len(result):
            result[end : end + 4] = zlib.crc32(result[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(result)


def encoded(photo: Photo) -> tuple[str, bytes]:
    file_format = output_format("-", kind=photo.kind)
    if photo.kind.animation is None:
        return file_format, encode_photo(photo.straight, photo.alpha, photo.kind, file_format)
    pictures = [(frame.straight, frame.alpha) for frame in photo.frames]
    return file_format, encode_animation(pictures, photo.kind, file_format)


@pytest.mark.parametrize("file_format", SAMPLES)
def test_damaged_files_are_photos_or_one_clear_line(
    tmp_path: Path, file_format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"damaged.{file_format}"
    refusals: list[str] = []
    others = [data for name, files in SAMPLES.items() if name != file_format for data in files]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        whole = data.draw(st.sampled_from(SAMPLES[file_format]))
        damaged = edited(whole, data.draw(edits(len(whole))), data.draw(st.sampled_from(others)))
        path.write_bytes(resealed(damaged) if file_format == "png" and data.draw(st.booleans()) else damaged)
        try:
            photo = read_photo(path, max_megapixels=0.05, frames="all")
        except PhotoError as error:
            refusals.append(str(error))
            return
        for frame in photo.frames:
            assert frame.pixels.shape == (*photo.size, 3)
            assert np.isfinite(frame.pixels).all()
            assert frame.pixels.min() >= 0
            assert frame.pixels.max() <= 255
            assert frame.alpha is None or (frame.alpha.min() >= 0 and frame.alpha.max() <= 1)
        written_as, written = encoded(photo)
        path.write_bytes(written)
        again = read_photo(path, max_megapixels=0.05, frames="all")
        assert (again.size, again.kind.format, again.kind.depth) == (photo.size, written_as, photo.kind.depth)

    check()
    assert all(line.count(str(path)) == 1 and "\n" not in line for line in refusals)
    assert 0 < len(refusals) < EXAMPLES  # Both ways out were taken.
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file_format", SAMPLES)
def test_the_files_are_photos_before_they_are_damaged(tmp_path: Path, file_format: str) -> None:
    for data in SAMPLES[file_format]:
        (tmp_path / "whole").write_bytes(data)
        photo = read_photo(tmp_path / "whole", frames="all")
        assert photo.kind.format.lower() == file_format
        assert not [note for note in photo.notes if "CMYK" not in note]
