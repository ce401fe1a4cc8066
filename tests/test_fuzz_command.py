"""The command fed with damaged files: it ends with 0 or 2, and writes a whole photo or nothing."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from photo_files import file_bytes

from dnr_jax.photos.files import read_photo
from dnr_jax.resize import main

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
EXAMPLES = 100


def crop_frames(
    frames: list[np.ndarray], targets: list[tuple[int, int]], *_: Any, **__: Any
) -> list[list[SimpleNamespace]]:
    """Stands in for the method, which damaged files have nothing to do with: crops or repeats the edge."""
    (target,) = targets
    rows, columns = (np.minimum(np.arange(n), m - 1) for n, m in zip(target, frames[0].shape, strict=False))
    record = {"size": frames[0].shape[:2], "notes": [], "importance_threshold": 1.0, "passes": []}
    return [[SimpleNamespace(image=frame[rows][:, columns], record=record) for frame in frames]]


def flip(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def splice(data: bytearray, chance: random.Random) -> bytearray:
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    place = chance.randrange(len(data))
    return data[:place] + data[start:end] + data[place:]


def edit_header(data: bytearray, chance: random.Random) -> bytearray:
    place = chance.randrange(min(64, len(data)))
    data[place : place + 2] = chance.randbytes(2)
    return data


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (flip, cut, splice, edit_header)


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_files_end_in_a_photo_or_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], file_format: str
) -> None:
    monkeypatch.setattr("dnr_jax.pipeline.retarget_frames_to_all", crop_frames)
    pixels = np.random.default_rng(0).integers(0, 255, (33, 41, 3)).astype(np.uint8)
    whole, chance = file_bytes(pixels, file_format), random.Random(file_format)
    source, output = tmp_path / "in", tmp_path / "o.png"
    codes = []
    for number in range(EXAMPLES):
        data = bytearray(whole) if number == 0 else MUTATIONS[number % 4](bytearray(whole), chance)
        source.write_bytes(data)
        output.unlink(missing_ok=True)
        args = [f"--input={source}", f"--output={output}", "--width=90%", "--weights=embedded", "--max_megapixels=0.1"]
        codes.append(main(["resize", *args]))
        err = capfd.readouterr().err
        if codes[-1] == 0:
            with PIL.Image.open(output) as written:
                written.load()
                assert abs(written.width - 0.9 * read_photo(source).size[1]) <= 1
        else:
            assert codes[-1] == 2
            assert not output.exists()
            assert err.startswith("dnr_jax.resize: ")
            assert len(err.splitlines()) == 1
            assert "Traceback" not in err
        assert {path.name for path in tmp_path.iterdir()} <= {"in", "o.png"}
    assert codes[0] == 0
    assert 2 in codes
