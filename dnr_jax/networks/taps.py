"""The taps of a VGG19-shaped network: their Keras names, order, strides and receptive fields.

A tap is a layer whose activation is read: `block{1..5}_conv{1..4}` (after ReLU) or `block{1..5}_pool`. This module
is plain Python, so that options can be checked before JAX is imported.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

CONVS_PER_BLOCK = (2, 2, 4, 4, 4)
CONV_LAYERS = tuple(f"block{b}_conv{c}" for b, n in enumerate(CONVS_PER_BLOCK, 1) for c in range(1, n + 1))
TAPS = tuple(
    f"block{b}_{layer}"
    for b, n in enumerate(CONVS_PER_BLOCK, 1)
    for layer in (*(f"conv{c}" for c in range(1, n + 1)), "pool")
)
"""Every tap, shallow to deep."""
DEFAULT_TAPS = ("block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_pool")
"""The last layer of each block: what is carved unless others are named."""


class AutomaticTaps(tuple[str, ...]):
    """What `taps=auto` stands for: the standard taps, or those of them that a photo is large enough for.

    It equals a plain tuple of the same names, so that the same programs serve both.
    """

    def __str__(self) -> str:
        return "auto"

    def for_photo(self, size: tuple[int, int]) -> "AutomaticTaps":
        """The standard taps of which a photo of (height, width) `size` holds a whole neuron; at least the first.

        Example:
          >>> list(AutomaticTaps(DEFAULT_TAPS).for_photo((300, 9)))
          ['block1_conv2', 'block2_conv2', 'block3_conv4', 'block4_conv4']
        """
        return AutomaticTaps(level.tap for level in levels_of(DEFAULT_TAPS) if level.stride <= max(1, min(size)))


def check_tap(tap: str) -> str:
    """Returns `tap`; raises ValueError naming the taps there are when it is not one of them."""
    if tap not in TAPS:
        raise ValueError(f"unknown tap {tap!r}: choose from {', '.join(TAPS)}")
    return tap


def tap_depth(tap: str) -> int:
    """The tap's place in the network, 0 for `block1_conv1`."""
    return TAPS.index(check_tap(tap))


@dataclasses.dataclass(frozen=True)
class Level:
    """A tap as a level of the hierarchy: how far apart its neurons are, and how large its map is.

    Attributes:
      tap: its name.
      number: its place among the taps that it was named with, counted from 0.

    Raises:
      ValueError: there is no such tap.

    Example:
      >>> Level("block3_pool").stride, Level("block3_pool").size((480, 644))
      (8, (60, 80))
    """

    tap: str
    number: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        check_tap(self.tap)

    @property
    def block(self) -> int:
        """Which of the network's five blocks it belongs to, counted from 1."""
        return int(self.tap[5])

    @property
    def layer(self) -> str:
        """Its name within the block: conv1 to conv4, or pool."""
        return self.tap.split("_")[1]

    @property
    def stride(self) -> int:
        """Input pixels per neuron along one side: 1, 2, 4, 8, 16 for blocks 1 to 5, twice that for their pools."""
        return 2**self.block if self.layer == "pool" else 2 ** (self.block - 1)

    def size(self, pixels: tuple[Any, ...]) -> tuple[Any, Any]:
        """The (height, width) of the map of an image that is (height, width) `pixels` large; these may be traced.

        Convolutions are SAME and pools VALID: pixels that fill no neuron are left out.
        """
        # A shift: of a traced number, the remainder's sign would be looked at, in every kernel that reads it.
        shift = self.stride.bit_length() - 1
        return pixels[0] >> shift, pixels[1] >> shift


@functools.cache
def levels_of(taps: tuple[str, ...]) -> tuple[Level, ...]:
    """The levels of some taps, in their order."""
    return tuple(Level(tap, number=number) for number, tap in enumerate(taps))


def conv_layers_below(tap: str) -> tuple[str, ...]:
    """The convolutions that must be evaluated to read `tap`, shallow to deep."""
    return tuple(layer for layer in TAPS[: tap_depth(tap) + 1] if layer in CONV_LAYERS)


class Footprint(NamedTuple):
    """The neurons of a shallow tap that one neuron of a deep tap covers, along one side.

    Neuron i of the deep tap is at rows `i * stride` to `i * stride + stride - 1` of the shallow one; its theoretical
    receptive field reaches `before` rows further up and `after` rows further down.
    """

    stride: int
    before: int
    after: int


def receptive_footprint(shallow: str | None, deep: str) -> Footprint:
    """The theoretical receptive field of a `deep` neuron in the `shallow` tap, or for None in the image."""
    first, last = -1 if shallow is None else tap_depth(shallow), tap_depth(deep)
    if first > last:
        raise ValueError(f"{shallow} is deeper than {deep}")
    stride, before, field = 1, 0, 1
    for layer in TAPS[first + 1 : last + 1]:
        if layer.endswith("pool"):
            field, stride = field + stride, stride * 2
        else:
            before, field = before + stride, field + 2 * stride
    return Footprint(stride, before, field - stride - before)


def projected_footprint(shallow: str, deep: str) -> Footprint:
    """The block of `shallow` neurons that pool onto one `deep` neuron, and no further."""
    return receptive_footprint(shallow, deep)._replace(before=0, after=0)
