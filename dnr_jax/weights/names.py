"""The names of the networks, and the choice of one. Needs no JAX."""

import dataclasses
from pathlib import Path

NAMES = {
    "auto": "vgg19 where it has been fetched, else embedded",
    "vgg19": "the paper's, fetched where it is missing",
    "embedded": "built in: the learned one",
    "learned": "built in, trained without labels",
    "analytic": "built in, untrained",
}
"""Every name that `load_weights` takes, and what it stands for; anything else is the path of a weights file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkChoice:
    """Which network is asked for: the arguments of `load_weights`.

    Attributes:
      name: one of `NAMES`, or the path of a weights file.
      weights_dir: where VGG19 is kept; None for the user's cache directory.
      offline: whether fetching is forbidden; None for what $DNR_JAX_OFFLINE says.
      quiet: whether to leave out the hint of how to get VGG19.

    Example:
      >>> NetworkChoice(name="learned").absolute() == NetworkChoice(name="learned")
      True
    """

    name: str = "auto"
    weights_dir: str | None = None
    offline: bool | None = None
    quiet: bool = False

    def absolute(self) -> "NetworkChoice":
        """The same choice for a process that runs in another folder: paths become absolute, names stay as they are."""
        name = self.name if self.name in NAMES else str(Path(self.name).absolute())
        directory = None if self.weights_dir is None else str(Path(self.weights_dir).absolute())
        return dataclasses.replace(self, name=name, weights_dir=directory)


def describe_names() -> str:
    """Lists every name and what it stands for, for a help text."""
    return ", ".join(f"{name} ({meaning})" for name, meaning in NAMES.items())
