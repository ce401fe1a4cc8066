"""Padded shapes: photos of near sizes share one compiled program. Plain Python."""

from typing import NamedTuple

from dnr_jax.shapes import LEAST_SIDE, PER_OCTAVE, bucket_side, largest_overview

STEPS_PER_OCTAVE = (1, 2, 4, 8, 16)
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


def find_bucket(
    size: tuple[int, int],
    reach: tuple[int, int],
    *,
    importance_side: int | None,
    seams_only: bool,
    per_octave: int = PER_OCTAVE,
) -> Bucket:
    """The bucket of a photo that shrinks or stays on both sides.

    Args:
      size: its (height, width).
      reach: the (height, width) that seams may lead to, at most its size.
      importance_side: the network's.
      seams_only: whether seams go all the way there (importance_percentile 100), so that the intermediate
        image is known to be as small as that.
      per_octave: steps of bucket sides from one power of two to the next.
    """
    shape = bucket_side(size[0], per_octave), bucket_side(size[1], per_octave)
    canvas = (bucket_side(reach[0], per_octave), bucket_side(reach[1], per_octave)) if seams_only else shape
    small = None if importance_side is None else largest_overview(shape, importance_side, per_octave)
    sides = tuple(
        side for side, wanted, has in (("width", reach[1], size[1]), ("height", reach[0], size[0])) if wanted < has
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
