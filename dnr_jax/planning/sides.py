"""The two sides of a photo. Seams and warps are written for the width: for the height, arrays are turned to and fro."""

from typing import TypeVar

import jax

SIDES = ("width", "height")
"""In the order in which seams go."""
AXES = {"height": 0, "width": 1}
_Tree = TypeVar("_Tree")
_Length = TypeVar("_Length")


def turned(tree: _Tree, side: str) -> _Tree:
    """Arrays [H, W, ...] of any pytree, turned so that the `side`, "width" or "height", is axis 1; twice: as they were.

    NumPy's arrays stay NumPy's, as views.
    """
    return tree if side == "width" else jax.tree.map(lambda array: array.swapaxes(0, 1), tree)


def turned_size(size: tuple[_Length, _Length], side: str) -> tuple[_Length, _Length]:
    """The (height, width) of what `turned` gives for arrays of (height, width) `size`."""
    return size if side == "width" else (size[1], size[0])
