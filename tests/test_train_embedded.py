"""The script that trains: the network and its record, and one line for bad options."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import jax
import PIL.Image
import pytest

pytest.importorskip("skimage")

from training_photos import RECIPE, disc_photo

import train_embedded
from dnr_jax.networks.learned import Learned
from dnr_jax.weights.packaged import read_learned
from training.recipe import RECIPES

pytestmark = pytest.mark.slow


def test_the_script_trains_and_writes_a_network_with_its_record(tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "net.safetensors"
    folder.mkdir()
    for seed in range(11):
        PIL.Image.fromarray(disc_photo(seed, (48, 64))[0]).save(folder / f"{seed:02}.png")
    script = Path(train_embedded.__file__)
    options = [f"--photos={folder}", f"--out={out}", "--origin=drawn here", "--steps=2", "--processes=1", "--seed=5"]
    command = [sys.executable, str(script), "--recipe=test", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "train_embedded: recipe is 'test': choose plain or default\n"
    RECIPES["test"] = dataclasses.replace(RECIPE, sides=(32,), batches=(2,), contrast_gain=0.25)
    try:
        assert train_embedded.main(["train_embedded", "--recipe=test", "--quiet", *options]) == 0
    finally:
        del RECIPES["test"]
    network, provenance = read_learned(path=out)
    assert network.module == Learned(RECIPE.widths, contrast_gain=0.25)
    record = json.loads(out.with_suffix(".json").read_text())
    assert provenance.sha256 == record["sha256"]
    assert (record["seed"], record["recipe"]["steps"], record["photos"]["origin"]) == (5, 2, "drawn here")
    assert record["photos"]["found"] == 11
    assert record["photos"]["trained_on"] + record["photos"]["held_out"] <= 11
    assert record["versions"]["jax"] == jax.__version__
    with PIL.Image.open(out.with_suffix(".png")) as plot:
        assert plot.width == 640
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".json", ".png", ".safetensors"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--photos is missing: --photos=DIR --out=FILE"),
        (["--photos=.", "--out=x.txt"], "name a .safetensors file"),
        (["--photos=nowhere", "--out=x.safetensors"], "nowhere holds no photos"),
    ],
)
def test_bad_options_are_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_embedded.main(["train_embedded", "--quiet", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
