"""python -m dnr_jax.weights: what each command does and prints, its exit codes, one line for everything wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
from conftest import random_layers
from weight_files import write_keras

from dnr_jax.atomic import write_atomically
from dnr_jax.weights import cache, load_weights, read_weights
from dnr_jax.weights.cache import record_of
from dnr_jax.weights.commands import main
from dnr_jax.weights.files import read_metadata

WIDTHS = (4, 5, 6, 7, 8)


@pytest.fixture
def keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DNR_JAX_CACHE", str(tmp_path / "cache"))
    write_keras(tmp_path / "keras.h5", random_layers(WIDTHS), "1", top=True)
    return tmp_path / "keras.h5"


def run(*args: str) -> int:
    return main(["weights", *args])


def test_convert_verify_path_list(keras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cached = keras.parent / "cache/vgg19.safetensors"
    assert run("convert", f"--input={keras}", "--any_shape") == 0
    out = capsys.readouterr().out
    for part in (str(cached), "Keras 1 HDF5 with the classifier", "16 convolutions", "BGR 0..255", "float32"):
        assert part in out
    weights = load_weights("vgg19")
    assert (weights.provenance.name, weights.provenance.source) == ("vgg19", "keras.h5")
    assert len(weights.provenance.sha256) == 64
    assert sorted(path.name for path in cached.parent.iterdir()) in (
        ["vgg19.json", "vgg19.safetensors"],
        [".lock", "vgg19.json", "vgg19.safetensors"],
    )

    assert run("path") == 0
    assert capsys.readouterr().out.strip() == str(cached)
    assert run("list") == 0
    out = capsys.readouterr().out
    for part in ("keras: https://", "torchvision: https://", "253f8cb515780f3b799900260a226db6", "from keras.h5"):
        assert part in out
    assert run("verify") == 0
    assert "digest as recorded" in capsys.readouterr().out


def test_verify_finds_what_changed(keras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cached = keras.parent / "cache/vgg19.safetensors"
    assert run("verify") == 2
    assert "no weights at" in capsys.readouterr().err
    assert run("convert", f"--input={keras}", "--any_shape", "--store=bfloat16") == 0
    good = cached.read_bytes()
    changed = bytearray(good)
    changed[-1] ^= 1
    cached.write_bytes(changed)
    assert run("verify") == 2
    assert "has changed since it was converted" in capsys.readouterr().err
    cached.write_bytes(good)
    record = cached.with_name("vgg19.json")
    content = json.loads(record.read_text())
    content["sources"] = {"keras.h5": {"sha256": "00" * 32}}
    record.write_text(json.dumps(content))
    assert run("verify") == 2
    assert "another keras.h5 than the first fetch recorded" in capsys.readouterr().err
    record.write_text("[]")
    assert run("verify") == 2
    assert "vgg19.json is unreadable" in capsys.readouterr().err
    record.unlink()
    assert run("verify") == 0
    assert "nothing was recorded" in capsys.readouterr().out
    cached.write_bytes(good[:-30])
    assert run("verify") == 2
    assert "damaged" in capsys.readouterr().err


def test_any_file_converts_elsewhere_and_verifies(keras: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = keras.parent / "own.safetensors"
    assert run("convert", f"--input={keras}", f"--output={output}", "--any_shape") == 0
    half = keras.parent / "half.safetensors"
    assert run("convert", f"--input={output}", f"--output={half}", "--any_shape", "--store=bfloat16") == 0
    assert "dnr_jax safetensors" in capsys.readouterr().out
    assert read_weights(half).provenance == read_weights(output).provenance
    with safetensors.safe_open(half, framework="numpy") as file:
        assert file.get_tensor("block1_conv1/bias").dtype.itemsize == 2
    for file in (keras, output, half):
        assert run("verify", f"--input={file}") == 0
        assert "sound" in capsys.readouterr().out
    assert not (keras.parent / "cache").exists()


def test_the_script_converts_too(keras: Path) -> None:
    script = Path(__file__).parents[1] / "scripts/convert_vgg19.py"
    arguments = [f"--input={keras}", "--any_shape", f"--weights_dir={keras.parent / 'other'}"]
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    weights = load_weights("vgg19", weights_dir=keras.parent / "other")
    bias = random_layers(WIDTHS)["block5_conv4"]["bias"]
    np.testing.assert_array_equal(weights.network.params["block5_conv4"]["bias"], bias)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nosuch"], "unknown command 'nosuch'"),
        (["convert"], "--input is missing"),
        (["convert", "--input=gone.h5"], "no such file: gone.h5"),
        (["convert", "--input=text"], "text is no weights file"),
        (["convert", "--input=keras.h5"], "keras.h5 (Keras 1 HDF5 with the classifier): not a VGG19 network"),
        (["convert", "--input=keras.h5", "--any_shape", "--output=none/w"], "none is no directory"),
        (["convert", "--input=keras.h5", "--any_shape", "--weights_dir=text"], "cache text cannot be written"),
        (["convert", "--input=keras.h5", "--store=int8"], "store"),
        (["convert", "--input=keras.h5", "extra"], "'extra'"),
        (["convert", "--force"], "force"),
        (["fetch"], "needs the network"),
        (["fetch", "--offline"], "needs the network"),
        (["fetch", "--nooffline", "--source=nosuch"], "unknown source 'nosuch': choose keras or torchvision"),
        (["path"], "no vgg19.safetensors in"),
        (["verify", "--input=gone"], "no weights at gone"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    keras: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    monkeypatch.chdir(keras.parent)
    Path("text").write_text("these are no weights at all")
    assert run(*args) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("dnr_jax.weights: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert not (keras.parent / "cache/vgg19.safetensors").exists()


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        ("", "is no registry"),
        ("{}", "format"),
        ('{"format": "dnr_jax-registry-1", "widths": [1], "sources": []}', "five widths"),
        ({"digest": "md5:xyz"}, "has digest"),
        ({"file": "../w.h5"}, "plain file name"),
        ({"url": "ftp://host/w.h5"}, "http(s) URL"),
        ({"bytes": -1}, "positive number"),
        (None, "correct DNR_JAX_REGISTRY"),
    ],
)
def test_registries_are_checked(
    keras: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], registry, message: str
) -> None:
    path = keras.parent / "registry.json"
    if isinstance(registry, dict):
        source = {"name": "a", "file": "w.h5", "url": "https://host/w.h5", **registry}
        registry = json.dumps({"format": "dnr_jax-registry-1", "widths": list(WIDTHS), "sources": [source]})
    if registry is not None:
        path.write_text(registry)
    monkeypatch.setenv("DNR_JAX_REGISTRY", str(path))
    assert run("list") == 2
    err = capsys.readouterr().err
    assert "registry.json" in err
    assert message in err


def test_interrupt_is_130(keras: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dnr_jax.weights.install.encode_weights", interrupt)
    assert run("convert", f"--input={keras}", "--any_shape") == 130
    assert "interrupted" in capsys.readouterr().err
    assert not list((keras.parent / "cache").glob("vgg19*"))


@pytest.mark.parametrize("step", range(7))
def test_weights_and_their_record_agree_wherever_a_replacement_ends(
    keras: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: int
) -> None:
    cached, stores, steps = keras.parent / "cache/vgg19.safetensors", [], []
    assert run("convert", f"--input={keras}", "--any_shape") == 0

    def look() -> None:
        """Checks what another process would find now, and ends this one after `step` looks."""
        assert record_of(cached)[1]
        assert record_of(cached)[0]["file"]["store"] == read_metadata(cached)["store"]
        stores.append(read_metadata(cached)["store"])
        steps.append(len(steps))
        if len(steps) == step:
            raise KeyboardInterrupt

    def watched(path: Path, data: bytes) -> None:
        look()
        write_atomically(path, data)
        look()

    with monkeypatch.context() as watching:
        watching.setattr(cache, "write_atomically", watched)
        assert run("convert", f"--input={keras}", "--any_shape", "--store=bfloat16") == (130 if step else 0)
    assert stores == ["float32", "float32", "float32", "bfloat16", "bfloat16", "bfloat16"][: step or 6]
    load_weights("vgg19")
    assert run("verify") == 0
    # What was broken off is no burden for what comes after it, and leaves no trace.
    assert run("convert", f"--input={keras}", "--any_shape", "--store=float32") == 0
    assert [*json.loads(cached.with_suffix(".json").read_text())] == ["file", "origin"]
    assert run("verify") == 0


def test_weights_that_are_replaced_while_they_are_looked_at_are_looked_at_again(
    keras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = keras.parent / "cache/vgg19.safetensors"
    assert run("convert", f"--input={keras}", "--any_shape") == 0
    digests = []

    def replaced_before(path: Path) -> str:
        if not digests:
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr(cache, "file_sha256", file_sha256)
                assert run("convert", f"--input={keras}", "--any_shape", "--store=bfloat16") == 0
        digests.append(file_sha256(path))
        return digests[-1]

    file_sha256 = cache.file_sha256
    monkeypatch.setattr(cache, "file_sha256", replaced_before)
    record, is_recorded = record_of(cached)
    assert (record["file"]["store"], is_recorded, len(digests)) == ("bfloat16", True, 2)


def test_help_and_bad_flags_do_not_wait_for_jax() -> None:
    program = (
        "import sys; from dnr_jax.weights.commands import main; code = main(['weights', *sys.argv[1:]]);"
        " assert 'jax' not in sys.modules; assert 'pooch' not in sys.modules; sys.exit(code)"
    )
    for args, code in ((["--help"], 0), (["convert", "--help"], 0), (["fetch", "--nosuch"], 2), (["list"], 0)):
        done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    done = subprocess.run([sys.executable, "-m", "dnr_jax.weights"], capture_output=True, text=True, check=True)
    for command in ("fetch", "convert", "verify", "list", "path", "Exit codes"):
        assert command in done.stdout
