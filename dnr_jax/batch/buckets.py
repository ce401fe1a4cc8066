"""Padded shapes: photos of near sizes share one compiled program. Plain Python."""

from typing import NamedTuple

from dnr_jax.shapes import LEAST_SIDE, PER_OCTAVE, Round, bucket_side, find_rounds, largest_overview

STEPS_PER_OCTAVE = (1, 2, 4, 8, 16)
"""The numbers of bucket sides between one power of two and the next that may be asked for."""


class Bucket(NamedTuple):
    """The shapes that one program is compiled for; photos of one bucket may share a batch.

    The bucket of a photo follows from that photo alone, so that no result depends on which photos are in a run.

    Attributes:
      shape: (height, width) of the padded photo.
      canvas: (height, width) of the padded intermediate image and of the result.
      small: (height, width) of the padded overview that a network with an `importance_side` sees; None for a network
        without one.
      rounds: the rounds of seams, in the order in which they are found.
      opacity: whether the photos have an opacity channel.
      protected: whether the photos have a mask of what is protected.
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
    *,
    target: tuple[int, int] | None = None,
    importance_side: int | None,
    seams_only: bool,
    per_octave: int = PER_OCTAVE,
    opacity: bool = False,
    protected: bool = False,
) -> Bucket:
    """The bucket of a photo.

    Args:
      size: the photo's (height, width).
      reach: the (height, width) that seams may lead to, between the photo's size and the target.
      target: the (height, width) wanted; None where it is `reach`.
      importance_side: the side in pixels of the overview that the network sees; None for a network that sees the photo
        itself.
      seams_only: whether seams alone lead to `reach` (importance_percentile 100), so that the intermediate image is
        known to be as small as that.
      per_octave: how many bucket sides there are between one power of two and the next.
      opacity: whether the photo has an opacity channel.
      protected: whether the photo has a mask of what is protected.
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
    """Rising (height, width)s up to the bucket's canvas, of which the smallest that holds the image is computed on.

    A smaller canvas costs less, and how far seams lead is known only once they are found.
    """
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


def spread(count: int, most: int, *, multiple: int = 1) -> int:
    """The batch size, from half of `most` up, that leaves the fewest places empty; the largest of those.

    Args:
      count: how many photos there are, at least 1.
      most: the largest batch size, at least 1.
      multiple: the number of devices; the batch size is a multiple of it.
    """
    most = min(max(1, most // multiple), -(-count // multiple))
    sizes = [multiple * n for n in range(max(1, most // 2), most + 1)]
    return min(sizes, key=lambda size: (-(-count // size) * size, -size))
