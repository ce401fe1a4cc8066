"""The file that the small U²-Net ships in, and the script that writes it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from u2net_files import onnx_file, random_arrays, real_photo
from weight_files import assert_same_arrays

import convert_u2net
from dnr_jax.networks import u2net
from dnr_jax.networks.u2net import SalienceNetwork, salience
from dnr_jax.weights import objects
from dnr_jax.weights.objects import FORMAT, MOST_BYTES, SOURCE_SHA256, params_of, read_salience_network, read_u2netp
from dnr_jax.weights.registry import shipped_path


def test_the_stored_weights_are_close_to_the_authors(shared: Path) -> None:
    pytest.importorskip("onnx")
    original = SalienceNetwork(params_of(convert_u2net.read_onnx(onnx_file(shared))))
    stored, _ = read_u2netp()
    for name in ("046", "053", "083"):
        image = real_photo(shared, name)
        np.testing.assert_allclose(salience(stored, image), salience(original, image), rtol=0, atol=0.005, err_msg=name)


def test_a_real_object_stands_out() -> None:
    image = np.full((100, 150, 3), 200, np.float32)
    image[30:70, 60:100] = (200, 30, 20)
    found = np.asarray(salience(read_u2netp()[0], jnp.asarray(image)))
    assert found[128:192, 160:180].mean() > 0.8
    assert found[:40].mean() < 0.1


def test_the_packaged_file_says_where_it_comes_from() -> None:
    path = shipped_path(objects.FILE)
    assert path.stat().st_size <= MOST_BYTES
    network, provenance = read_u2netp()
    assert read_u2netp()[0] is network  # Read once.
    assert (provenance.name, provenance.sha256, provenance.licence) == ("u2netp", SOURCE_SHA256, "Apache-2.0")
    assert "Apache License" in path.with_suffix(".LICENSE").read_text()
    metadata = objects.read_metadata(path)
    assert "Qin" in metadata["attribution"]
    assert "float16" in metadata["changes"]
    assert {leaf.dtype for leaf in jax.tree.leaves(network.params)} == {jnp.dtype("float32")}


def _write(path: Path, arrays: dict[str, np.ndarray], **metadata: str) -> None:
    path.write_bytes(safetensors.numpy.save(arrays, {"format": FORMAT, **convert_u2net.PROVENANCE, **metadata}))


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(FileNotFoundError, match="install the package again"):
        read_salience_network(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        read_salience_network(path)
    good = random_arrays(u2net.INNER_CHANNELS, u2net.STAGE_CHANNELS)
    _write(path, good, format="other")
    with pytest.raises(ValueError, match="has format 'other'"):
        read_salience_network(path)
    _write(path, good, licence="")
    with pytest.raises(ValueError, match="metadata without licence"):
        read_salience_network(path)
    _write(path, good)
    read_salience_network(path)


def test_arrays_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    arrays = random_arrays(u2net.INNER_CHANNELS, u2net.STAGE_CHANNELS)
    del arrays["stage2/down1/kernel"]
    arrays["stage9/in/bias"] = arrays["side1/bias"]
    arrays["fuse/bias"] = np.zeros(2, np.float32)
    arrays["side2/bias"] = np.full(1, np.nan, np.float32)
    _write(path, arrays)
    with pytest.raises(ValueError, match="does not hold the small U²-Net") as error:
        read_salience_network(path)
    for problem in (
        "missing stage2/down1/kernel",
        "extra stage9/in/bias",
        "fuse/bias has shape (2,), not (1,)",
        "side2/bias holds values that are not finite",
    ):
        assert problem in str(error.value)


def _convert(*arguments: str) -> int:
    return convert_u2net.main(["convert_u2net", *arguments])


def test_the_converter_refuses_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "u2netp.onnx", tmp_path / "net.safetensors"
    source.write_bytes(b"another network")
    assert _convert(f"--input={source}", f"--output={output}") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is not the authors' u2netp.onnx: its SHA-256 is" in error
    assert SOURCE_SHA256 in error
    assert _convert(f"--input={tmp_path / 'none.onnx'}", f"--output={output}") == 2
    assert _convert(f"--output={output}") == 2
    assert "--input=" in capsys.readouterr().err
    assert not output.exists()


def test_the_converter_writes_what_ships(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    output = tmp_path / "net.safetensors"
    assert _convert(f"--input={onnx_file(shared)}", f"--output={output}") == 0
    shipped = shipped_path(objects.FILE)
    assert_same_arrays(output, shipped)
    assert objects.read_metadata(output) == objects.read_metadata(shipped)


def test_the_converter_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="stage2/in/kernel holds a value too large for float16"):
        convert_u2net.encode({"stage2/in/kernel": np.full(3, 1e6, np.float32)})
    with pytest.raises(ValueError, match="more than 3000000"):
        convert_u2net.encode({"stage1/in/kernel": np.zeros(800_000, np.float32)})
    with pytest.raises(ValueError, match="no photo"):
        convert_u2net.largest_change({}, {}, [])
