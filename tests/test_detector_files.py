"""The files that the networks for faces and words ship in, and the scripts that write them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy
from detector_files import random_arrays, source_file
from weight_files import assert_same_arrays

import convert_faces
import convert_words
from conversion.command import encode
from dnr_jax.weights import detectors
from dnr_jax.weights.detectors import FACES, WORDS
from dnr_jax.weights.files import read_metadata
from dnr_jax.weights.registry import shipped_path
from dnr_jax.weights.shipped import ShippedNetwork

BOTH = pytest.mark.parametrize(
    ("network", "read_file", "script"),
    [(FACES, detectors.read_face_network, convert_faces), (WORDS, detectors.read_word_network, convert_words)],
    ids=["faces", "words"],
)


@BOTH
def test_the_packaged_file_says_where_it_comes_from(
    network: ShippedNetwork, read_file: Callable[[Path], Any], script: Any
) -> None:
    path = shipped_path(network.file)
    assert path.stat().st_size <= network.most_bytes
    held, provenance = read_file(path)
    assert (provenance.sha256, provenance.licence) == (network.sha256, "Apache-2.0")
    assert provenance.name == path.stem == script.PROVENANCE["name"]
    assert "Apache License" in path.with_suffix(".LICENSE").read_text()
    assert read_metadata(path) == {"format": network.format, **script.PROVENANCE}
    assert {leaf.dtype for leaf in jax.tree.leaves(held.params)} == {np.dtype("float32")}


def test_the_packaged_files_are_read_once() -> None:
    assert detectors.read_faces()[0] is detectors.read_faces()[0]
    assert detectors.read_words()[0] is detectors.read_words()[0]


@BOTH
def test_a_file_that_does_not_fit_is_refused(
    network: ShippedNetwork, read_file: Callable[[Path], Any], script: Any, tmp_path: Path
) -> None:
    path, good = tmp_path / "net.safetensors", random_arrays(network)

    def write(arrays: dict[str, np.ndarray], **metadata: str) -> None:
        about = {"format": network.format, **script.PROVENANCE, **metadata}
        path.write_bytes(safetensors.numpy.save(arrays, about))

    with pytest.raises(FileNotFoundError, match="install the package again"):
        read_file(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        read_file(path)
    write(good, format="other")
    with pytest.raises(ValueError, match="has format 'other'"):
        read_file(path)
    write(good, licence="")
    with pytest.raises(ValueError, match="metadata without licence"):
        read_file(path)
    write(good)
    read_file(path)
    first, second, third, *_ = good
    bad = {**good, "extra/bias": np.zeros(2, np.float32), second: np.zeros(7, np.float32)}
    bad[third] = np.full_like(good[third], np.nan)
    del bad[first]
    write(bad)
    with pytest.raises(ValueError, match=f"does not hold {network.title}") as error:
        read_file(path)
    for problem in (f"missing {first}", "extra extra/bias", f"{second} has shape (7,)", f"{third} holds values"):
        assert problem in str(error.value)


@BOTH
def test_the_converter_refuses_another_file(
    network: ShippedNetwork,
    read_file: Callable[[Path], Any],
    script: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, output = tmp_path / script.SOURCE, tmp_path / "net.safetensors"
    source.write_bytes(b"another network")
    assert script.main(["convert", f"--input={source}", f"--output={output}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"is not the authors' {script.SOURCE}: its SHA-256 is" in error
    assert network.sha256 in error
    assert script.main(["convert", f"--input={tmp_path / 'none'}", f"--output={output}"]) == 2
    assert script.main(["convert", f"--output={output}"]) == 2
    assert "--input=" in capsys.readouterr().err
    assert not output.exists()


@BOTH
def test_the_converter_writes_what_ships(
    network: ShippedNetwork, read_file: Callable[[Path], Any], script: Any, shared: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tflite" if network is FACES else "onnx")
    source, output = source_file(shared, script.SOURCE), tmp_path / "net.safetensors"
    assert script.main(["convert", f"--input={source}", f"--output={output}"]) == 0
    shipped = shipped_path(network.file)
    assert_same_arrays(output, shipped)
    assert read_metadata(output) == read_metadata(shipped)


def test_what_does_not_fit_is_not_written() -> None:
    large = {"stem/kernel": np.full(3, 1e6, np.float32)}
    with pytest.raises(ValueError, match="stem/kernel holds a value too large for float16: keep it"):
        encode(large, FACES, {}, lambda _: False, "keep it")
    assert encode(large, FACES, {}, lambda _: True, "keep it")
    with pytest.raises(ValueError, match="more than 1200000"):
        encode({"stem/kernel": np.zeros(800_000, np.float32)}, FACES, {}, lambda _: False, "")
