"""The command: what it writes, its flags, and one clear line for everything that is wrong."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_photos import textured_photo
from resize_runs import FAST, run

from dnr_jax.config import RetargetConfig
from dnr_jax.photos.files import read_image, write_image
from dnr_jax.resize import define_flags
from dnr_jax.shell.flags import config_from_flags


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", textured_photo(64, 96))
    return tmp_path / "photo.png"


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp"])
def test_a_photo_in_a_photo_out(photo: Path, name: str) -> None:
    output = photo.parent / name
    assert run(f"--input={photo}", f"--output={output}", "--width=75%", *FAST) == 0
    assert read_image(output).shape == (64, 72, 3)
    assert sorted(path.name for path in photo.parent.iterdir()) == sorted([name, photo.name])


def test_the_record_tells_what_happened(photo: Path) -> None:
    record = photo.parent / "run.json"
    assert (
        run(
            f"--input={photo}",
            f"--output={photo.parent / 'o.png'}",
            "--width=72",
            f"--record={record}",
            "--alpha=0.25",
            "--loss_weights=1,0.5",
            *FAST,
        )
        == 0
    )
    content = json.loads(record.read_text())
    assert (content["size"], content["target_size"]) == ([64, 96], [64, 72])
    assert [step["side"] for step in content["passes"]] == ["width"]
    assert set(content["passes"][0]["seams"]) == {"block1_conv2", "block3_conv4"}
    assert content["config"]["alpha"] == 0.25
    assert content["config"]["loss_weights"] == [1, 0.5]
    assert content["reconstruction"]["steps"] == 2
    assert len(content["reconstruction"]["losses"]) == 3
    assert set(content["seconds"]) == {"objects", "features", "seams", "reconstruction", "refinement", "warp"}
    assert content["weights"]["name"] == "embedded"
    assert content["seed"] == 0
    assert content["device"]
    assert all("block3_conv4: " in step["why_stopped"] for step in content["passes"])
    assert {"dnr_jax", "jax", "numpy"} <= set(content["versions"])


@pytest.mark.slow
def test_same_command_same_bytes(photo: Path) -> None:
    outputs = [photo.parent / name for name in ("a.png", "b.png")]
    for output in outputs:
        assert run(f"--input={photo}", f"--output={output}", "--width=80", "--init=noise", "--seed=7", *FAST) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_every_option_is_a_flag_with_help() -> None:
    values = define_flags()
    for field in dataclasses.fields(RetargetConfig):
        assert len(values[field.name].help) > 30
        assert "Default: " in values[field.name].help


def test_presets_and_flags_over_them(photo: Path) -> None:
    record = photo.parent / "r.json"
    args = [f"--input={photo}", f"--output={photo.parent / 'o.png'}", f"--record={record}", "--width=90", *FAST]
    assert run(*args, "--preset=paper", "--tolerance=0.5") == 0
    config = json.loads(record.read_text())["config"]
    assert (config["init"], config["rate_schedule"]) == ("linear", "constant")
    assert (config["reconstruct_steps"], config["tolerance"]) == (2, 0.5)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--width=75%", "--output=o.png"], "--input is missing"),
        (["--input=gone.jpg", "--output=o.png", "--width=75%"], "gone.jpg"),
        (["--input=.", "--output=o.png", "--width=75%"], "directory"),
        (["--input=PHOTO", "--output=o.xyz", "--width=75%"], "o.xyz"),
        (["--input=PHOTO", "--output=none/o.png", "--width=75%"], "none is no directory"),
        (["--input=PHOTO", "--output=o.png", "--width=0"], "--width is 0"),
        (["--input=PHOTO", "--output=o.png", "--width=400"], "from 10 to 384 pixels"),
        (["--input=PHOTO", "--output=o.png", "--width=wide"], "pixels (480) or percent"),
        (["--input=PHOTO", "--output=o.png", "--height=-3"], "pixels (480) or percent"),
        (["--input=PHOTO", "--output=o.png", "--taps=block9_conv1"], "unknown tap 'block9_conv1'"),
        (["--input=PHOTO", "--output=o.png", "--alpha=1"], "alpha is 1.0"),
        (["--input=PHOTO", "--output=o.png", "--alpha=x"], "alpha"),
        (["--input=PHOTO", "--output=o.png", "--loss_weights=a"], "loss_weights"),
        (["--input=PHOTO", "--output=o.png", "--init=seams"], "init"),
        (["--input=PHOTO", "--output=o.png", "--preset=slow"], "preset"),
        (
            ["--input=PHOTO", "--output=o.png", "--warp=grid", "--most_crop=0.5"],
            "--most_crop has no effect with warp=grid",
        ),
        (["--input=PHOTO", "--output=o.png", "--preset=paper", "--most_crop=0.5"], "or give --warp=proportional"),
        (["--input=PHOTO", "--output=o.png", "--warp_cell=16"], "--warp_cell has no effect with warp=proportional"),
        (["--input=PHOTO", "--output=o.png", "--widht=3"], "widht"),
        (["--input=PHOTO", "--output=o.png", "extra"], "'extra'"),
        (["--input=PHOTO", "--output=o.png", "--weights=gone.h5"], "gone.h5"),
        (["--input=PHOTO", "--output=o.png", "--weights=PHOTO"], "no weights file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("o.png").write_bytes(b"old")
    assert run(*(arg.replace("PHOTO", str(photo)) for arg in args)) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("dnr_jax.resize: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert Path("o.png").read_bytes() == b"old"
    assert sorted(path.name for path in Path().iterdir()) == ["o.png", "photo.png"]


@pytest.mark.parametrize(
    "asked", [{"warp": "grid", "warp_cell": 8}, {"preset": "paper", "warp_cell": 8}, {"most_crop": 0}]
)
def test_options_of_the_chosen_warp_are_taken(asked: dict[str, Any]) -> None:
    values = define_flags()
    values(["resize", *(f"--{name}={value}" for name, value in asked.items())])
    config = config_from_flags({name: values[name].value for name in values})
    assert all(getattr(config, name) == value for name, value in asked.items() if name != "preset")


def test_interrupt_leaves_nothing(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dnr_jax.pipeline.retarget_frames_to_all", interrupt)
    assert run(f"--input={photo}", f"--output={photo.parent / 'o.png'}", "--width=75%", *FAST) == 130
    assert list(photo.parent.iterdir()) == [photo]


def test_help_and_bad_flags_do_not_wait_for_jax() -> None:
    program = (
        "import sys; from dnr_jax.resize import main; code = main(['resize', sys.argv[1]]);"
        " assert 'jax' not in sys.modules; sys.exit(code)"
    )
    for flag, code in (("--help", 0), ("--nosuch=1", 2), ("--alpha=7", 2)):
        done = subprocess.run([sys.executable, "-c", program, flag], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "dnr_jax.resize", "--help"], capture_output=True, text=True, check=True
    )
    assert "--width: Target width" in done.stdout
    assert "alpha" in done.stdout


def test_pixels_of_an_unchanged_photo_survive(photo: Path) -> None:
    output = photo.parent / "same.png"
    assert run(f"--input={photo}", f"--output={output}", *FAST) == 0
    np.testing.assert_array_equal(read_image(output), read_image(photo))
