"""Padded shapes: photos of near sizes share one compiled program. Plain Python."""

from typing import NamedTuple

LEAST_SIDE = 32
"""Bucket sides are multiples of this: of the deepest stride, and of what TPU tiles ask for."""
PER_OCTAVE = (1, 2, 4, 8, 16)
"""How many bucket sides there may be from one power of two to the next."""


class Bucket(NamedTuple):
    """What one compiled program serves. It follows from one photo alone, so that no mix of photos changes a result.

    Attributes:
      shape: (height, width) of the padded photo.
      canvas: (height, width) of the padded intermediate image and of the result.
      small: (height, width) of the padded photo as a network with an `importance_side` sees it; None without one.
      sides: "width", "height" or both, in the order in which they are carved.
    """

    shape: tuple[int, int]
    canvas: tuple[int, int]
    small: tuple[int, int] | None
    sides: tuple[str, ...]

    def __str__(self) -> str:
        canvas = "" if self.canvas == self.shape else f" on {self.canvas[1]}x{self.canvas[0]}"
        return f"{self.shape[1]}x{self.shape[0]} {'+'.join(self.sides)}{canvas}"


def bucket_side(length: int, per_octave: int = 4) -> int:
    """The least bucket side of at least `length` pixels, with so many steps from one power of two to the next."""
    step = _step(length, per_octave)
    return -(-length // step) * step


def find_bucket(
    size: tuple[int, int],
    target: tuple[int, int],
    *,
    importance_side: int | None,
    seams_only: bool,
    per_octave: int = 4,
) -> Bucket:
    """The bucket of a photo that shrinks or stays on both sides.

    Args:
      size: its (height, width).
      target: the (height, width) wanted, at most its size.
      importance_side: the network's.
      seams_only: whether seams go all the way to the target (importance_percentile 100), so that the intermediate
        image is known to be as small as the target.
      per_octave: steps of bucket sides from one power of two to the next.
    """
    shape = bucket_side(size[0], per_octave), bucket_side(size[1], per_octave)
    canvas = (bucket_side(target[0], per_octave), bucket_side(target[1], per_octave)) if seams_only else shape
    small = None if importance_side is None else _largest_overview(shape, importance_side, per_octave)
    sides = tuple(
        side for side, wanted, has in (("width", target[1], size[1]), ("height", target[0], size[0])) if wanted < has
    )
    return Bucket(shape, canvas, small, sides or ("width",))


def canvases_of(bucket: Bucket) -> tuple[tuple[int, int], ...]:
    """Rising (height, width)s up to the bucket's canvas: how far the seams led is known only when they were found."""
    if bucket.canvas != bucket.shape:  # Seams alone: they lead to the target.
        return (bucket.canvas,)
    shares = (1 / 2, 3 / 4, 7 / 8, 1) if len(bucket.sides) == 1 else (3 / 4, 1)
    sides = [
        sorted({-(-int(length * share) // LEAST_SIDE) * LEAST_SIDE for share in shares})
        if side in bucket.sides
        else [length]
        for side, length in zip(("height", "width"), bucket.canvas, strict=True)
    ]
    return tuple((height, width) for height in sides[0] for width in sides[1])


def spread(count: int, most: int, multiple: int = 1) -> int:
    """The batch size, from half of `most` up, that leaves the fewest places empty; the largest of those.

    Args:
      count: photos, at least 1.
      most: largest batch, at least 1.
      multiple: of which the batch size is one (the number of devices).
    """
    most = min(max(1, most // multiple), -(-count // multiple))
    sizes = [multiple * n for n in range(max(1, most // 2), most + 1)]
    return min(sizes, key=lambda size: (-(-count // size) * size, -size))


def _step(length: int, per_octave: int) -> int:
    octave = 1 << max(0, (max(length, 1) - 1).bit_length() - 1)  # The power of two below `length`.
    return max(LEAST_SIDE, octave // per_octave)


def _largest_overview(shape: tuple[int, int], side: int, per_octave: int) -> tuple[int, int]:
    """A (height, width) that holds `overview_size` of every photo of a bucket."""
    whole = -(-side // 32) * 32

    def most(length: int, other: int) -> int:
        shortest_other = other - _step(other, per_octave) + 1
        return max(32, min(whole, 32 * int(side * length / shortest_other / 32 + 0.5)))

    return most(shape[0], shape[1]), most(shape[1], shape[0])
