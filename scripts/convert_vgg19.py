"""Converts Keras's VGG19 weights (HDF5) to this package's safetensors format, which `--weights=vgg19` then finds.

python scripts/convert_vgg19.py --input=vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from dnr_jax.taps import CONV_LAYERS
from dnr_jax.vgg import KERAS_PREPROCESSING
from dnr_jax.weights import (
    CACHED_VGG19,
    KERAS_LICENCE,
    Provenance,
    cache_dir,
    file_sha256,
    layer_widths,
    read_keras_h5,
    save_weights,
)


def main(argv: Sequence[str]) -> int:
    """Runs the conversion; returns the exit code: 0 done, 2 bad input."""
    values = flags.FlagValues()
    flags.DEFINE_string("input", None, "Keras VGG19 file (.h5), with or without the classifier.", flag_values=values)
    flags.DEFINE_string("output", None, "File to write. Default: where --weights=vgg19 looks.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    try:
        values(argv)
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        if not values["input"].value:
            raise ValueError("--input is missing: give Keras's VGG19 file")
        source = Path(str(values["input"].value))
        if not source.is_file():
            raise ValueError(f"no such file: {source}")
        layers = read_keras_h5(source)
        layer_widths(layers)
        output = Path(values["output"].value or cache_dir() / CACHED_VGG19)
        output.parent.mkdir(parents=True, exist_ok=True)
        save_weights(
            output, layers, KERAS_PREPROCESSING, Provenance("vgg19", source.name, file_sha256(source), KERAS_LICENCE)
        )
    except (flags.Error, ValueError, OSError) as error:
        print(f"convert_vgg19: {error}", file=sys.stderr)
        return 2
    missing = [layer for layer in CONV_LAYERS if layer not in layers]
    print(f"{output}: {len(layers)} convolutions" + (f", without {', '.join(missing)}" if missing else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
