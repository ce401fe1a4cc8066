"""Photo files for tests, made on the spot: pictures, EXIF blocks and colour profiles."""

import io
import itertools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from dnr_jax.photos.colour_profiles import srgb_profile

_P3 = {
    b"rXYZ": (0.5151, 0.2412, -0.0011),
    b"gXYZ": (0.2920, 0.6922, 0.0419),
    b"bXYZ": (0.1571, 0.0666, 0.7841),
}
_TURNED = {
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


def picture(height: int = 24, width: int = 40) -> np.ndarray:
    """A smooth uint8 photo whose four corners differ."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y / height, 255 * x / width, 60 + 0 * x], -1).astype(np.uint8)


def noise(shape: tuple[int, ...], dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    """Seeded noise over all values of an unsigned type."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def file_bytes(image: PIL.Image.Image | np.ndarray, file_format: str, **options: Any) -> bytes:
    """What Pillow writes."""
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def stored(folder: Path, name: str, image: PIL.Image.Image | np.ndarray, file_format: str, **options: Any) -> Path:
    """A file that Pillow writes."""
    (folder / name).write_bytes(file_bytes(image, file_format, **options))
    return folder / name


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera that was turned stores of an upright picture."""
    return np.ascontiguousarray(_TURNED[orientation](image))


def exif_block(orientation: int = 1) -> bytes:
    """EXIF with a camera, a date, a pixel size, a place and an orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = orientation, "Camera & Sons", "2024:05:06 07:08:09"
    exif[0x8769] = {0x9003: "2024:05:06 07:08:09", 0xA002: 40, 0xA003: 24}
    exif[0x8825] = {1: "N", 2: (47.0, 30.0, 12.0)}
    return exif.tobytes()


def wide_profile() -> bytes:
    """An RGB profile with the primaries of Display P3 and the curve of sRGB."""
    data = bytearray(srgb_profile())
    for index in range(struct.unpack_from(">I", data, 128)[0]):
        name, start, _ = struct.unpack_from(">4sII", data, 132 + 12 * index)
        if name in _P3:
            struct.pack_into(">3i", data, start + 8, *(round(value * 65536) for value in _P3[name]))
    return bytes(data)


def ink_profile() -> bytes:
    """A CMYK profile of four inks that each darken by themselves: one 2x2x2x2 table to Lab."""
    grid = []
    for c, m, y, k in itertools.product((0, 1), repeat=4):
        lightness = 100 * (1 - k) * (1 - 0.4 * c) * (1 - 0.5 * m) * (1 - 0.1 * y)
        grid += [round(lightness * 2.55), 128 + 60 * (m - c) * (1 - k), 128 + 60 * (y - c) * (1 - k)]
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + bytes(grid) + identity * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text\0\0\0\0inks\0\0\0\0"
    tags, body, start = [], b"", 132 + 12 * 4
    for name, content in ((b"A2B0", table), (b"wtpt", white), (b"desc", text), (b"cprt", text)):
        tags.append(struct.pack(">4sII", name, start + len(body), len(content)))
        body += content + bytes(-len(content) % 4)
    total = start + len(body)
    header = struct.pack(">I4sI4s4s4s12s4s", total, b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", 4) + b"".join(tags) + body
