"""Mask files: of any mode, upright, and of the photo's size."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from photo_files import exif_block, picture, stored, turned

from dnr_jax.photos.files import read_mask


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
