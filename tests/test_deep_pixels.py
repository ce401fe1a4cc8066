"""16 bits a channel: every bit in, every bit out."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import exif_block, file_bytes, noise

from dnr_jax.photos.colour_profiles import srgb_profile
from dnr_jax.photos.deep_pixels import encode_png16, is_deep
from dnr_jax.photos.files import read_photo


def tiff(values: np.ndarray, order: str, photometric: int, *, planes: int = 1, packed: bool = False) -> bytes:
    """An uncompressed or deflated 16-bit TIFF of [H, W, C] in one strip."""
    height, width, channels = values.shape
    body = np.moveaxis(values, -1, 0) if planes == 2 else values
    data = body.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packed else data
    size = len(data) // channels if planes == 2 else len(data)
    strips = channels if planes == 2 else 1
    fields = [
        *((256, 4, [width]), (257, 4, [height]), (258, 3, [16] * channels), (259, 3, [8 if packed else 1])),
        *((262, 3, [photometric]), (273, 4, [8 + size * i for i in range(strips)]), (277, 3, [channels])),
        *((278, 4, [height]), (279, 4, [size] * strips), (284, 3, [planes])),
        *([(338, 3, [2])] if channels == 4 else []),
    ]
    padded = data + b"\0" * (len(data) % 2)
    extra, entries = b"", b""
    start = 8 + len(padded) + 2 + 12 * len(fields) + 4
    for tag, kind, numbers in fields:
        value = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(value) > 4:
            entries += struct.pack(f"{order}HHII", tag, kind, len(numbers), start + len(extra))
            extra += value + b"\0" * (len(value) % 2)
        else:
            entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + value.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", 8 + len(padded)) + padded + struct.pack(f"{order}H", len(fields))
    return head + entries + bytes(4) + extra


def read_values(path: Path) -> np.ndarray:
    photo = read_photo(path)
    assert photo.kind.depth == 16
    colours = np.rint(photo.straight.astype(float) * 257).astype(np.uint16)
    channels = [colours[..., :1]] if photo.kind.mode == "grey" else [colours]
    if photo.alpha is not None:
        channels.append(np.rint(photo.alpha.astype(float)[..., None] * 65535).astype(np.uint16))
    return np.concatenate(channels, -1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (9, 13), (40, 5)])
def test_png_keeps_every_bit(tmp_path: Path, channels: int, size: tuple[int, int]) -> None:
    values = noise((*size, channels), np.uint16)
    values[0, 0] = 65535 - np.arange(channels)
    path = tmp_path / "deep.png"
    path.write_bytes(encode_png16(values, profile=srgb_profile() if channels > 2 else None, exif=exif_block()))
    np.testing.assert_array_equal(read_values(path), values)
    with PIL.Image.open(path) as image:
        image.load()
        assert image.getexif()[0x010F] == "Camera & Sons"
        assert image.info.get("icc_profile") == (srgb_profile() if channels > 2 else None)
        upper = values[..., [0, 0, 0, 1]] if channels == 2 else values
        seen = np.asarray(image).reshape(*size, -1)
        np.testing.assert_array_equal(seen, upper if channels == 1 else upper >> 8)


def test_smooth_pictures_get_smaller(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(64) * 100, np.arange(64) * 150)[..., None].astype(np.uint16)
    assert len(encode_png16(np.repeat(ramp, 3, -1))) < ramp.size


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("order", "channels", "photometric"),
    [("<", 1, 1), ("<", 1, 0), ("<", 3, 2), ("<", 4, 2), (">", 1, 1), (">", 3, 2), (">", 4, 2)],
)
def test_tiff_keeps_every_bit(tmp_path: Path, order: str, packed: bool, channels: int, photometric: int) -> None:
    values = noise((9, 13, channels), np.uint16, seed=channels)
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(values, order, photometric, packed=packed))
    np.testing.assert_array_equal(read_values(path), 65535 - values if photometric == 0 else values)


def test_pgm_and_jpeg2000_keep_every_bit_of_grey(tmp_path: Path) -> None:
    values = noise((9, 13), np.uint16)
    (tmp_path / "a.pgm").write_bytes(b"P5 13 9 65535\n" + values.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_values(tmp_path / "a.pgm")[..., 0], values)
    (tmp_path / "a.jp2").write_bytes(file_bytes(PIL.Image.fromarray(values), "JPEG2000"))
    np.testing.assert_array_equal(read_values(tmp_path / "a.jp2")[..., 0], values)


def test_a_16_bit_colour_key_is_transparency(tmp_path: Path) -> None:
    values = noise((6, 7, 3), np.uint16)
    data = encode_png16(values)
    body = b"tRNS" + values[2, 3].astype(">u2").tobytes()
    at = data.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "key.png").write_bytes(data[:at] + chunk + data[at:])
    alpha = read_photo(tmp_path / "key.png").alpha
    assert alpha is not None
    assert np.argwhere(alpha == 0).tolist() == [[2, 3]]


def deep_sgi() -> bytes:
    return file_bytes(PIL.Image.fromarray(noise((8, 8))), "SGI", bpc=2)


def deep_jpeg2000() -> bytes:
    data = bytearray(file_bytes(noise((8, 8, 3)), "JPEG2000", no_jp2=True))
    data[42:51:3] = bytes((11, 11, 11))
    return bytes(data)


def floating() -> bytes:
    return file_bytes(PIL.Image.fromarray(np.ones((8, 8), np.float32)), "TIFF")


def wide_integers() -> bytes:
    return file_bytes(PIL.Image.fromarray(np.full((8, 8), 70000, np.int32)), "TIFF")


REFUSED = {
    "colour PPM": b"P6 2 1 65535\n" + bytes(12),
    "odd PPM": b"P6 2 1 1023\n" + bytes(12),
    "SGI": deep_sgi(),
    "JPEG 2000": deep_jpeg2000(),
    "float TIFF": floating(),
    "32-bit TIFF": wide_integers(),
    "planar TIFF": tiff(noise((5, 6, 3), np.uint16), "<", 2, planes=2),
    "planar deflated TIFF": tiff(noise((5, 6, 3), np.uint16), "<", 2, planes=2, packed=True),
    "CMYK TIFF": tiff(noise((5, 6, 4), np.uint16), "<", 5).replace(struct.pack("<HHI", 338, 3, 1), bytes(8)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_depth_that_cannot_be_kept_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "deep.img").write_bytes(REFUSED[name])
    with pytest.raises(ValueError, match=r"deep\.img (has|is) .*16-bit PNG|damaged"):
        read_photo(tmp_path / "deep.img")


def test_a_deep_avif_is_refused() -> None:
    data = bytearray(file_bytes(noise((8, 8, 3)), "AVIF"))
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert not is_deep(image, bytes(data))
        data[data.index(b"av1C") + 6] |= 64  # As a file of 10 bits says; Pillow writes none.
        with pytest.raises(ValueError, match="16-bit PNG"):
            is_deep(image, bytes(data))


def test_depth_of_eight_bits_is_not_taken_for_more(tmp_path: Path) -> None:
    for file_format in ("PPM", "SGI", "JPEG2000", "AVIF", "TIFF", "BMP", "TGA", "PCX"):
        buffer = io.BytesIO(file_bytes(noise((8, 8, 3)), file_format))
        (tmp_path / "a").write_bytes(buffer.getvalue())
        assert read_photo(tmp_path / "a").kind.depth == 8
