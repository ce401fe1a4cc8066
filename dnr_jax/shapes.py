"""The sides of padded arrays: photos of near sizes share their compiled programs. Plain Python."""

from typing import NamedTuple

LEAST_SIDE = 32
"""Sides are multiples of this: of the deepest stride, and of what TPU tiles ask for."""
PER_OCTAVE = 8
"""Sides from one power of two to the next: padding makes photos 9 % larger on average (sides from 300 to 1,500)."""

LARGEST_GROWTH = 4
"""A side can be enlarged to at most this many times its length."""


def bucket_side(length: int, *, per_octave: int = PER_OCTAVE) -> int:
    """The least side of a padded array of at least `length` pixels, with so many steps to an octave.

    Example:
      >>> bucket_side(480), bucket_side(640), bucket_side(650)
      (480, 640, 704)
    """
    step = side_step(length, per_octave=per_octave)
    return -(-length // step) * step


def bucket_shape(size: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) of the array that holds a photo of `size`."""
    return bucket_side(size[0]), bucket_side(size[1])


def side_step(length: int, *, per_octave: int = PER_OCTAVE) -> int:
    """How far apart the sides around `length` are."""
    octave = 1 << max(0, (max(length, 1) - 1).bit_length() - 1)  # The power of two below `length`.
    return max(LEAST_SIDE, octave // per_octave)


def largest_overview(shape: tuple[int, int], side: int, *, per_octave: int = PER_OCTAVE) -> tuple[int, int]:
    """A (height, width) that holds what a network with an `importance_side` sees of every photo in such an array."""
    whole = -(-side // 32) * 32

    def most(length: int, other: int) -> int:
        shortest_other = other - side_step(other, per_octave=per_octave) + 1
        return max(32, min(whole, 32 * int(side * length / shortest_other / 32 + 0.5)))

    return most(shape[0], shape[1]), most(shape[1], shape[0])


class Round(NamedTuple):
    """One round of seams.

    Attributes:
      side: "width" or "height".
      room: for insertions, how long a side in pixels the arrays get that hold what they lead to; 0 for removals.
    """

    side: str
    room: int


def find_rounds(size: tuple[int, int], reach: tuple[int, int], *, per_octave: int = PER_OCTAVE) -> tuple[Round, ...]:
    """The rounds that lead from one (height, width) to another: the width's, then the height's.

    In one round of insertions a side grows by at most half, so that no seam is needed twice.

    Example:
      >>> find_rounds((480, 640), (480, 1200))
      (Round(side='width', room=960), Round(side='width', room=1280))
      >>> find_rounds((480, 640), (300, 640))
      (Round(side='height', room=0),)
    """
    rounds = []
    for side, length, wanted in (("width", size[1], reach[1]), ("height", size[0], reach[0])):
        while length != wanted:
            grows = wanted > length
            length = next_length(length, wanted) if grows else wanted
            rounds.append(Round(side, bucket_side(length, per_octave=per_octave) if grows else 0))
    return tuple(rounds)


def next_length(length: int, wanted: int) -> int:
    """What a side of `length` grows to in one round of insertions on its way to `wanted`."""
    return min(wanted, length + max(1, length // 2))
