"""What the converters of small networks share: the command line, the check of the source, and the file they write."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from absl import flags

from dnr_jax.atomic import write_atomically
from dnr_jax.shell.command_line import run_command
from dnr_jax.weights.shipped import ShippedNetwork

Arrays = dict[str, np.ndarray]


def run_converter(
    name: str,
    argv: Sequence[str],
    text: str | None,
    source: str,
    convert: Callable[[Path], bytes],
) -> int:
    """Runs a converter's command line.

    Args:
      name: the name of the command.
      argv: the command line, program first.
      text: what --help prints before the flags.
      source: what the file to convert is called.
      convert: makes the contents of the file to write from the file to convert.

    Returns:
      The exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted.
    """
    values = flags.FlagValues()
    about = {"flag_values": values, "module_name": name}
    flags.DEFINE_string("input", None, f"The authors' {source}.", **about)
    flags.DEFINE_string("output", None, "The safetensors file to write.", **about)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **about)

    def body(options: dict[str, Any]) -> None:
        data = convert(Path(options["input"]))
        write_atomically(Path(options["output"]), data)
        print(f"{options['output']}: {len(data)} bytes")

    example = f"--input={source} --output=FILE.safetensors"
    return run_command(name, argv, values, body, text=text, required=("input", "output"), example=example)


def provenance(network: ShippedNetwork, name: str, source: str, attribution: str, layout: str) -> dict[str, str]:
    """The metadata that say where a file comes from.

    Args:
      network: what the file must be.
      name: the name of the network.
      source: the file that it is converted from, and where that can be had.
      attribution: the authors of the network.
      layout: the layout of the file that it is converted from.
    """
    return {
        "name": name,
        "source": source,
        "sha256": network.sha256,
        "licence": "Apache-2.0",
        "attribution": f"{attribution}, Apache-2.0",
        "changes": f"converted from {layout} to safetensors; kernels transposed to [height, width, in, out] or "
        "[height, width, channels]; layers renamed",
    }


def read_source(path: Path, network: ShippedNetwork, source: str) -> bytes:
    """The bytes of the file that a network is converted from.

    Raises:
      ValueError: the file is another one, as its SHA-256 shows.
      OSError: the file cannot be read.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != network.sha256:
        raise ValueError(f"{path} is not the authors' {source}: its SHA-256 is {digest}, not {network.sha256}")
    return data


def encode(
    arrays: Arrays, network: ShippedNetwork, metadata: dict[str, str], kept: Callable[[str], bool], remedy: str
) -> bytes:
    """The bytes of a safetensors file of `arrays`, rounded to float16 but for those that are kept.

    Args:
      arrays: the float32 arrays, by their names in the file.
      network: what the file must be.
      metadata: where the weights come from, under which licence, and what was changed.
      kept: whether the array of a name stays float32.
      remedy: what the error says to do about a value that is too large for float16.

    Raises:
      ValueError: a weight is too large for float16, or the file would be too large for the package.
    """
    rounded = {}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):  # What does not fit is found here.
            rounded[name] = np.ascontiguousarray(array, np.float32 if kept(name) else np.float16)
        if not np.isfinite(rounded[name]).all():
            raise ValueError(f"{name} holds a value too large for {rounded[name].dtype}: {remedy}")
    data = safetensors.numpy.save(rounded, {"format": network.format, **metadata})
    if len(data) > network.most_bytes:
        raise ValueError(f"the file would have {len(data)} bytes, more than {network.most_bytes}")
    return data
