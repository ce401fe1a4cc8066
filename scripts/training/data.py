"""Reads training photos, gives them pseudo-labels, and draws augmented batches from them."""

import hashlib
import io
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from dnr_jax.atomic import write_atomically
from dnr_jax.networks.analytic import Embedded
from dnr_jax.planning.importance import feature_norm
from training.pseudo_labels import Saliency, agreement, find_saliency, unit_range
from training.recipe import Recipe

PHOTO_SIDE, LABEL_SIDE = 384, 256
LEAST_CONFIDENCE, LEAST_AREA, MOST_AREA = 0.55, 0.04, 0.5
HELD_OUT_EVERY = 10
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
TAP = "block5_pool"


class Labelled(NamedTuple):
    """A photo, uint8 [h, w, 3], and the map of each method, uint8 [h', w'], where 255 stands for 1."""

    photo: np.ndarray
    saliency: Saliency
    analytic: np.ndarray


class Example(NamedTuple):
    """A photo, uint8 [h, w, 3], its target, uint8 [h', w'], where 255 stands for 1, and its loss's weight, 0.3 to 1."""

    photo: np.ndarray
    target: np.ndarray
    weight: float


class Dataset(NamedTuple):
    """The examples to learn from, the held-out ones, and what they were made of.

    `digest` is the SHA-256 over the names and bytes of all files, in order; `found` is how many files there were.
    """

    training: list[Example]
    validation: list[Example]
    digest: str
    found: int


class Batch(NamedTuple):
    """A batch, in float32: images [b, s, s, 3] in [0, 255], targets [b, s, s] in [0, 1], and weights [b]."""

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def load_dataset(
    folder: Path,
    recipe: Recipe,
    cache: Path,
    processes: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> Dataset:
    """Reads and labels every photo of a folder.

    Args:
      folder: the folder of photos.
      recipe: says how labels are made.
      cache: the file that labels are kept in; they are made again when the photos change.
      processes: how many processes make labels.
      progress: called as labels are made; None for nobody.

    Raises:
      ValueError: there are no photos, or too few whose labels are fit to learn from.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not paths:
        raise ValueError(f"{folder} holds no photos ({', '.join(SUFFIXES)}): name another folder with --photos")
    digest = photos_digest(paths)
    labelled = read_labels(cache, digest)
    if labelled is None:
        labelled = label_photos(paths, processes, progress)
        write_labels(cache, digest, labelled)
    examples = [make_example(item, recipe) for item in labelled]
    fit = [example for example in examples if example is not None]
    training = [example for i, example in enumerate(fit) if i % HELD_OUT_EVERY]
    if not training:
        raise ValueError(f"{folder}: of {len(paths)} photos {len(fit)} have a label fit to learn from: add more photos")
    return Dataset(training, fit[::HELD_OUT_EVERY], digest, len(paths))


def photos_digest(paths: list[Path]) -> str:
    """The SHA-256 over the names and bytes of files, in order, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def label_photos(
    paths: list[Path], processes: int, progress: Callable[[str, int, int], None] | None = None
) -> list[Labelled]:
    """Makes every method's map of every photo; the unsupervised methods run in processes of their own."""
    found: list[tuple[np.ndarray, Saliency]] = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for item in pool.imap(label_photo, paths, chunksize=4):
            found.append(item)
            if progress is not None:
                progress("labels", len(found), len(paths))
    labelled = []
    for i, (photo, saliency) in enumerate(found, 1):
        labelled.append(Labelled(photo, saliency, analytic_map(photo, saliency.background.shape)))
        if progress is not None:
            progress("analytic", i, len(paths))
    return labelled


def label_photo(path: Path) -> tuple[np.ndarray, Saliency]:
    """Reads a photo, with sides of at most `PHOTO_SIDE`, and makes the unsupervised methods' maps at `LABEL_SIDE`."""
    with PIL.Image.open(path) as file:
        photo = file.convert("RGB")
    photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE), PIL.Image.Resampling.LANCZOS)
    scale = LABEL_SIDE / max(photo.size)
    size = (max(16, round(photo.width * scale)), max(16, round(photo.height * scale)))
    small = np.asarray(photo.resize(size, PIL.Image.Resampling.LANCZOS), np.float64) / 255
    return np.asarray(photo), Saliency(*(_to_bytes(values) for values in find_saliency(small)))


def analytic_map(photo: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The analytic network's importance at its deepest tap, stretched to the whole range of uint8, of `shape`."""
    height, width = photo.shape[:2]
    padded = np.zeros((PHOTO_SIDE, PHOTO_SIDE, 3), np.float32)  # One shape: one compilation.
    padded[:height, :width] = photo
    norm = np.asarray(_analytic_norm(padded, (jnp.int32(height), jnp.int32(width))))[: height // 32, : width // 32]
    picture = PIL.Image.fromarray(unit_range(norm).astype(np.float32))
    return _to_bytes(np.asarray(picture.resize((shape[1], shape[0]), PIL.Image.Resampling.BILINEAR)))


@jax.jit
def _analytic_norm(image: jax.Array, size: tuple[jax.Array, jax.Array]) -> jax.Array:
    activations = Embedded().apply({}, image, (TAP,), size)
    assert isinstance(activations, dict)
    return feature_norm(activations[TAP])


def write_labels(cache: Path, digest: str, labelled: list[Labelled]) -> None:
    arrays = {"digest": np.array(digest)}
    for i, item in enumerate(labelled):
        parts = (item.photo, *item.saliency, item.analytic)
        arrays.update({f"{i}_{part}": array for part, array in enumerate(parts)})
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType] (typed for its own options)
    write_atomically(cache, stream.getvalue())


def read_labels(cache: Path, digest: str) -> list[Labelled] | None:
    """Reads what `write_labels` wrote for the same photos; None where there is nothing, or what was made of others."""
    if not cache.is_file():
        return None
    with np.load(cache, allow_pickle=False) as file:
        if str(file["digest"]) != digest:
            return None
        rows = [[file[f"{i}_{part}"] for part in range(5)] for i in range((len(file.files) - 1) // 5)]
    return [Labelled(row[0], Saliency(*row[1:4]), row[4]) for row in rows]


def make_example(item: Labelled, recipe: Recipe) -> Example | None:
    """Makes the example that a recipe asks for of the methods' maps.

    Returns:
      None where the two unsupervised methods do not agree, or agree on a speck or on nearly the whole photo.
    """
    barrier = item.saliency.centred if recipe.centred_labels else item.saliency.barrier
    confidence = agreement(item.saliency.background / 255, barrier / 255)
    if recipe.analytic_labels:
        label = unit_range(item.saliency.background / 255 + barrier / 255 + item.analytic / 255)
    else:
        label = (item.saliency.background / 255 + barrier / 255) / 2
    target = smoothstep(label)
    if confidence <= LEAST_CONFIDENCE or not LEAST_AREA <= target.mean() <= MOST_AREA:
        return None
    return Example(item.photo, _to_bytes(target), float(np.clip((confidence - 0.4) / 0.5, 0.3, 1)))


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * values).astype(np.uint8)


def smoothstep(values: np.ndarray, low: float = 0.1, high: float = 0.75) -> np.ndarray:
    """A smooth step: 0 up to `low`, 1 from `high` on, and `t^2 (3 - 2 t)` between, where t rises from 0 to 1."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def draw_batch(examples: list[Example], count: int, side: int, least_area: float, rng: np.random.Generator) -> Batch:
    """Draws augmented examples: cropped, flipped, with a pasted object, recoloured, sometimes grey.

    Args:
      examples: the examples to draw from.
      count: how many to draw.
      side: the side of the square crops in pixels.
      least_area: the least area of a crop, as a share of its photo.
      rng: draws them.
    """
    images = np.empty((count, side, side, 3), np.float32)
    targets = np.empty((count, side, side), np.float32)
    weights = np.empty(count, np.float32)
    for i in range(count):
        example = examples[rng.integers(len(examples))]
        image, target = _crop(example, side, least_area, rng)
        if rng.random() < 0.25:
            image, target = _paste(image, target, examples[rng.integers(len(examples))], rng)
        images[i], targets[i], weights[i] = _recolour(image, rng), target, example.weight
    return Batch(images, targets, weights)


def whole_photo(example: Example, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its target squeezed into a square of `side` pixels, as `draw_batch` gives them, not augmented."""
    return _resize(example.photo, (0, 0, 1, 1), side), _resize(example.target, (0, 0, 1, 1), side) / 255


def _crop(example: Example, side: int, least_area: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    share, aspect = rng.uniform(least_area, 1), np.exp(rng.uniform(-0.35, 0.35))
    width, height = min(1, (share * aspect) ** 0.5), min(1, (share / aspect) ** 0.5)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    box = (left, top, left + width, top + height)
    image, target = _resize(example.photo, box, side), _resize(example.target, box, side) / 255
    return (image[:, ::-1], target[:, ::-1]) if rng.random() < 0.5 else (image, target)


def _resize(array: np.ndarray, box: tuple[float, ...], side: int) -> np.ndarray:
    """The part of an array inside `box` (left, top, right, bottom as shares of it), float32 [side, side, ...]."""
    height, width = array.shape[:2]
    pixels = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    resized = PIL.Image.fromarray(array).resize((side, side), PIL.Image.Resampling.BILINEAR, box=pixels)
    return np.asarray(resized, np.float32)


def _paste(
    image: np.ndarray, target: np.ndarray, other: Example, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pastes the object of another photo, where its label is sure, at a random place."""
    if other.weight < 0.8:
        return image, target
    side = image.shape[0]
    small = round(side * rng.uniform(0.4, 0.8))
    pasted, alpha = whole_photo(other, small)
    top, left = rng.integers(0, side - small + 1, 2)
    place = (slice(top, top + small), slice(left, left + small))
    image, target = image.copy(), target.copy()
    image[place] += alpha[..., None] * (pasted - image[place])
    target[place] = np.maximum(target[place] * (1 - alpha), alpha)
    return image, target


def _recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes brightness, contrast, saturation and colour balance at random; one photo in ten turns grey."""
    image = image * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    grey = image.mean(-1, keepdims=True)
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(0.6, 1.4)
    image = grey + saturation * (image - grey)
    mean = image.mean()
    return np.clip(mean + rng.uniform(0.7, 1.3) * (image - mean) + rng.uniform(-30, 30), 0, 255)
