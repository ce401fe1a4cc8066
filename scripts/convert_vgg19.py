"""Converts a VGG19 weights file to this package's safetensors format; the same as `python -m dnr_jax.weights convert`.

python scripts/convert_vgg19.py --input=vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5
"""

import sys

from dnr_jax.shell.ending import end_process
from dnr_jax.weights.commands import main

if __name__ == "__main__":
    end_process(main([sys.argv[0], "convert", *sys.argv[1:]]))
