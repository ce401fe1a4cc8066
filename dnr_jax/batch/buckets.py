"""Padded shapes: photos of near sizes share one compiled program. Plain Python."""

from typing import NamedTuple

from dnr_jax.shapes import LEAST_SIDE, PER_OCTAVE, Round, bucket_side, find_rounds, largest_overview

STEPS_PER_OCTAVE = (1, 2, 4, 8, 16)
"""How many bucket sides there may be from one power of two to the next."""


class Bucket(NamedTuple):
    """What one compiled program serves. It follows from one photo alone, so that no mix of photos changes a result.

    Attributes:
      shape: (height, width) of the padded photo.
      canvas: (height, width) of the padded intermediate image and of the result.
      small: (height, width) of the padded photo as a network with an `importance_side` sees it; None without one.
      rounds: of seams, in order.
      opacity: whether photos have an opacity.
      protected: whether photos have a mask of what is protected.
    """

    shape: tuple[int, int]
    canvas: tuple[int, int]
    small: tuple[int, int] | None
    rounds: tuple[Round, ...]
    opacity: bool = False
    protected: bool = False

    def __str__(self) -> str:
        canvas = "" if self.canvas == self.shape else f" on {self.canvas[1]}x{self.canvas[0]}"
        extras = f"{', opacity' if self.opacity else ''}{', mask' if self.protected else ''}"
        steps = "+".join(f"{this.side} to {this.room}" if this.room else this.side for this in self.rounds)
        return f"{self.shape[1]}x{self.shape[0]} {steps or 'no seams'}{canvas}{extras}"


def find_bucket(
    size: tuple[int, int],
    reach: tuple[int, int],
    target: tuple[int, int] | None = None,
    *,
    importance_side: int | None,
    seams_only: bool,
    per_octave: int = PER_OCTAVE,
    opacity: bool = False,
    protected: bool = False,
) -> Bucket:
    """The bucket of a photo.

    Args:
      size: its (height, width).
      reach: the (height, width) that seams may lead to, between its size and the target.
      target: the (height, width) wanted; None for no more than `reach`.
      importance_side: the network's.
      seams_only: whether seams go all the way there (importance_percentile 100), so that the intermediate
        image is known to be as small as that.
      per_octave: steps of bucket sides from one power of two to the next.
      opacity: whether it has one.
      protected: whether it has a mask of what is protected.
    """

    def side(length: int) -> int:
        return bucket_side(length, per_octave=per_octave)

    shape = side(size[0]), side(size[1])
    # What shrinks may end anywhere between its size and the target, unless seams alone are known to bring it there.
    longest = [
        max(there, wanted) if seams_only or there > has else max(has, wanted)
        for has, there, wanted in zip(size, reach, target or reach, strict=True)
    ]
    small = None if importance_side is None else largest_overview(shape, importance_side, per_octave=per_octave)
    rounds = find_rounds(size, reach, per_octave=per_octave)
    return Bucket(shape, (side(longest[0]), side(longest[1])), small, rounds, opacity, protected)


def canvases_of(bucket: Bucket) -> tuple[tuple[int, int], ...]:
    """Rising (height, width)s up to the bucket's canvas: how far the seams led is known only when they were found."""
    shrinking = [this.side for this in bucket.rounds if not this.room]
    shares = (1 / 2, 3 / 4, 7 / 8, 1) if len(shrinking) == 1 else (3 / 4, 1)
    sides = [
        sorted({-(-int(length * share) // LEAST_SIDE) * LEAST_SIDE for share in shares})
        # Shorter than the photo, it is known to be the target's: seams alone lead there.
        if side in shrinking and length == whole
        else [length]
        for side, length, whole in zip(("height", "width"), bucket.canvas, bucket.shape, strict=True)
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
