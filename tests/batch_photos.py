"""Small photo files for tests of batch runs, made without JAX."""

from pathlib import Path

import numpy as np

from dnr_jax.image_io import write_photo

TINY = (
    "--weights=embedded",
    "--taps=block1_conv2",
    "--reconstruct_steps=2",
    "--refine_steps=1",
    "--width=75%",
    "--quiet",
)
"""Flags of a run whose program compiles in seconds."""


def tiny_photo(height: int, width: int, seed: int) -> np.ndarray:
    """Blocks of colour and grain, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(0, 255, (height // 8 + 1, width // 8 + 1, 3))
    grain = rng.normal(0, 6, (height, width, 3))
    image = np.kron(blocks, np.ones((8, 8, 1)))[:height, :width] + grain
    return np.clip(image, 0, 255).round().astype(np.uint8)


def write_photos(folder: Path, sizes: list[tuple[int, int]], extensions: tuple[str, ...] = ("png",)) -> None:
    """Photos p000.png, p001.png and so on in two subfolders, one of each (height, width)."""
    for number, (height, width) in enumerate(sizes):
        path = folder / f"set{number % 2}" / f"p{number:03}.{extensions[number % len(extensions)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_photo(path, tiny_photo(height, width, number))


def results(folder: Path) -> dict[str, bytes]:
    """Every file below an output directory but the records, by its name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".dnr-batch" not in path.parts
    }
