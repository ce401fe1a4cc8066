"""Everything that can be wrong with the files a person names: exit code 2, one line, nothing lost."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import random_layers
from drawn_photos import textured_photo
from photo_files import file_bytes
from resize_runs import FAST, run

from dnr_jax import atomic
from dnr_jax.networks.vgg import KERAS_PREPROCESSING
from dnr_jax.photos.files import write_image
from dnr_jax.weights import Provenance, save_weights
from dnr_jax.weights.cache import CACHED_VGG19

PHOTO = textured_photo(64, 96)


def weights_file(path: Path) -> bytes:
    save_weights(path, random_layers((4, 5, 6, 7, 8)), KERAS_PREPROCESSING, Provenance("w", "w", "0" * 64, "none"))
    return path.read_bytes()


def wrong_shapes(path: Path) -> None:
    layers = random_layers((4, 5, 6, 7, 8))
    layers["block2_conv2"]["kernel"] = layers["block2_conv2"]["kernel"][:, :, :3]
    weights_file(path)
    import safetensors
    import safetensors.numpy

    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    arrays = {f"{layer}/{kind}": array for layer, parts in layers.items() for kind, array in parts.items()}
    path.write_bytes(safetensors.numpy.save(arrays, metadata))


INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.jpg": (lambda path: path.write_bytes(b""), "empty"),
    "text.png": (lambda path: path.write_text("a letter, no picture"), "text.png"),
    "cut.jpg": (lambda path: path.write_bytes(file_bytes(PHOTO, "JPEG")[:-900]), "cut.jpg"),
    "cut.png": (lambda path: path.write_bytes(file_bytes(PHOTO, "PNG")[:500]), "cut.png"),
    "bomb.png": (lambda path: PIL.Image.new("1", (30_000, 30_000)).save(path), "megapixels"),
}
WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut.safetensors": (lambda path: path.write_bytes(weights_file(path)[:-50]), "damaged"),
    "shapes.safetensors": (wrong_shapes, "block2_conv2 has shapes"),
    "pickle.pth": (lambda path: path.write_bytes(pickle.dumps({"block1_conv1": 1})), "pickle.pth"),
}


def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path, message: str, *args: str) -> None:
    """Runs the command over an older output and asserts that it ends in one line and changes nothing."""
    output = tmp_path / "o.png"
    output.write_bytes(b"old")
    before = sorted(tmp_path.rglob("*"))
    assert run(f"--output={output}", "--width=75%", "--quiet", *FAST, *args) == 2
    err = capsys.readouterr().err
    assert err.startswith("dnr_jax.resize: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert output.read_bytes() == b"old"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", INPUTS)
def test_bad_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, message = INPUTS[name]
    make(tmp_path / name)
    refuse(capsys, tmp_path, message, f"--input={tmp_path / name}")


def test_a_photo_too_small_for_the_taps_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "tiny.png", PHOTO[:20])
    taps = "--taps=block1_conv2,block5_pool"
    refuse(capsys, tmp_path, "height is 20 pixels", f"--input={tmp_path / 'tiny.png'}", taps)


@pytest.mark.parametrize("name", WEIGHTS)
def test_bad_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, message = WEIGHTS[name]
    make(tmp_path / name)
    write_image(tmp_path / "photo.png", PHOTO)
    refuse(capsys, tmp_path, message, f"--input={tmp_path / 'photo.png'}", f"--weights={tmp_path / name}")


def test_a_cached_file_of_another_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights_file(tmp_path / CACHED_VGG19)
    (tmp_path / "vgg19.json").write_text(json.dumps({"file": {"sha256": "12" * 32}}))
    write_image(tmp_path / "photo.png", PHOTO)
    args = [f"--input={tmp_path / 'photo.png'}", "--weights=vgg19", f"--weights_dir={tmp_path}"]
    refuse(capsys, tmp_path, "not the file that was recorded", *args)


def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "photo.png", PHOTO)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    refuse(capsys, tmp_path, "No space left on device", f"--input={tmp_path / 'photo.png'}")


@pytest.mark.parametrize("width", ["0", "-5", "5", "5%", "401%", "99999999999", "1e9", "nan", ""])
def test_absurd_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str], width: str) -> None:
    write_image(tmp_path / "photo.png", PHOTO)
    refuse(capsys, tmp_path, "--width", f"--input={tmp_path / 'photo.png'}", f"--width={width}")


def test_addresses_are_not_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse(capsys, tmp_path, "curl", "--input=https://example.com/photo.jpg")


def test_masks_that_mark_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "photo.png", PHOTO)
    write_image(tmp_path / "mask.png", np.full_like(PHOTO, 255))
    files = [f"--input={tmp_path / 'photo.png'}", f"--remove={tmp_path / 'mask.png'}"]
    refuse(capsys, tmp_path, "remove mask marks the whole photo", *files)


@pytest.mark.parametrize(("width", "folder"), [("75%", "file"), ("75%", "file/below"), ("75%,50%", "in")])
def test_a_folder_for_stages_that_is_a_file_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str, folder: str
) -> None:
    monkeypatch.setattr("dnr_jax.methods.run_method", lambda *_: pytest.fail("there was work"))
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "photo.png", PHOTO)
    for name in ("file", "in/50"):
        (tmp_path / name).write_bytes(b"mine")
    files = [f"--input={tmp_path / 'photo.png'}", f"--inspect_dir={tmp_path / folder}", f"--width={width}"]
    refuse(capsys, tmp_path, "is no directory, name another one", *files)
