"""Reads and checks the files of the networks that find faces and words, which ship with the package.

`scripts/convert_faces.py` and `scripts/convert_words.py` wrote them.
"""

from functools import cache
from pathlib import Path

from dnr_jax.networks import blazeface, dbnet
from dnr_jax.networks.faces import FaceNetwork
from dnr_jax.networks.words import WordNetwork
from dnr_jax.weights.files import Provenance
from dnr_jax.weights.registry import shipped_path
from dnr_jax.weights.shipped import ShippedNetwork, array_shapes, read_shipped

FACES = ShippedNetwork(
    title="BlazeFace",
    file="blazeface.safetensors",
    format="dnr_jax-faces-1",
    most_bytes=1_200_000,
    sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    shapes=lambda: array_shapes(blazeface.layer_shapes(), lambda _: True),
)
WORDS = ShippedNetwork(
    title="the text detector",
    file="ppocr_tiny.safetensors",
    format="dnr_jax-words-1",
    most_bytes=2_000_000,
    sha256="193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8",
    shapes=lambda: array_shapes(dbnet.layer_shapes(), dbnet.has_bias),
)


@cache
def read_faces() -> tuple[FaceNetwork, Provenance]:
    """The package's network that finds faces, and where it comes from; the file is read once in a process.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: the file is damaged or holds another network.
    """
    return read_face_network(shipped_path(FACES.file))


@cache
def read_words() -> tuple[WordNetwork, Provenance]:
    """The package's network that finds words, and where it comes from; the file is read once in a process.

    Raises:
      FileNotFoundError: the file is not there.
      ValueError: the file is damaged or holds another network.
    """
    return read_word_network(shipped_path(WORDS.file))


def read_face_network(path: Path) -> tuple[FaceNetwork, Provenance]:
    """Reads a file that `scripts/convert_faces.py` wrote; raises what `shipped.read_shipped` does."""
    params, provenance = read_shipped(path, FACES)
    return FaceNetwork(params), provenance


def read_word_network(path: Path) -> tuple[WordNetwork, Provenance]:
    """Reads a file that `scripts/convert_words.py` wrote; raises what `shipped.read_shipped` does."""
    params, provenance = read_shipped(path, WORDS)
    return WordNetwork(params), provenance
