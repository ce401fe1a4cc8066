"""`--method`: every baseline from the command line, and one clear line for what does not apply to it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from drawn_photos import textured_photo
from resize_runs import FAST, run

from dnr_jax.baselines import METHODS
from dnr_jax.config import RetargetConfig
from dnr_jax.methods import NAMES
from dnr_jax.photos.files import read_image, write_image
from dnr_jax.resize import define_flags


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", textured_photo(64, 96))
    return tmp_path / "photo.png"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_by_its_name(photo: Path, name: str) -> None:
    output, record = photo.parent / "o.png", photo.parent / "r.json"
    network = ["--weights=embedded"] if METHODS[name].needs_network else []
    size = ["--width=75%"]
    args = [f"--input={photo}", f"--output={output}", f"--record={record}", f"--method={name}", *size, *network]
    assert run(*args) == 0
    assert read_image(output).shape == (64, 72, 3)
    content = json.loads(record.read_text())
    assert (content["method"], content["size"], content["target_size"]) == (name, [64, 96], [64, 72])
    assert set(content["config"]) == set(METHODS[name].options)
    assert (content["weights"] is not None) == METHODS[name].needs_network
    assert list(content["seconds"]) == [name]


def test_dnr_is_the_default(photo: Path) -> None:
    outputs = [photo.parent / name for name in ("a.png", "b.png")]
    record = photo.parent / "r.json"
    assert run(f"--input={photo}", f"--output={outputs[0]}", "--width=80", f"--record={record}", *FAST) == 0
    assert run(f"--input={photo}", f"--output={outputs[1]}", "--width=80", "--method=dnr", "--keep=objects", *FAST) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert json.loads(record.read_text())["method"] == "dnr"


def test_kinds_of_photo_come_through(tmp_path: Path) -> None:
    rgba = np.concatenate([textured_photo(32, 48), np.full((32, 48, 1), 255, np.uint8)], -1)
    rgba[:, 24:, 3] = 0
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    PIL.Image.fromarray(rgba[..., 0]).save(tmp_path / "g.png")
    for method in ("scl", "sc"):
        assert (
            run(f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'oa.png'}", "--width=50%", f"--method={method}")
            == 0
        )
        with PIL.Image.open(tmp_path / "oa.png") as image:
            assert (image.mode, image.size) == ("RGBA", (24, 32))
            assert {0, 255} <= set(np.unique(np.asarray(image)[..., 3]).tolist())
        assert (
            run(f"--input={tmp_path / 'g.png'}", f"--output={tmp_path / 'og.png'}", "--height=20", f"--method={method}")
            == 0
        )
        with PIL.Image.open(tmp_path / "og.png") as image:
            assert (image.mode, image.size) == ("L", (48, 20))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--method=sc", "--protect=m.png"], "--protect does not apply to --method=sc: it takes files and sizes only"),
        (["--method=scl", "--remove=m.png"], "--remove does not apply"),
        (["--method=warp", "--inspect_dir=d"], "--inspect_dir does not apply"),
        (["--method=multiop", "--frames=all"], "--frames does not apply"),
        (
            ["--method=cr", "--preset=fast"],
            "--preset does not apply to --method=cr: besides files and sizes it takes --weights, --taps",
        ),
        (["--method=sc", "--weights=embedded"], "--weights does not apply"),
        (["--method=sc", "--weights_dir=d"], "--weights_dir does not apply"),
        (["--method=deep_sc", "--importance_percentile=50"], "--importance_percentile does not apply"),
        (["--method=deepir", "--alpha=0.2"], "--alpha does not apply"),
        (["--method=best"], "method"),
    ],
)
def test_what_does_not_apply_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    # Before anything is read: the input does not exist.
    assert run(f"--input={tmp_path / 'gone.png'}", f"--output={tmp_path / 'o.png'}", "--width=75%", *args) == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert message in err


@pytest.mark.slow
def test_options_that_apply_have_their_effect(photo: Path) -> None:
    def result(name: str, *args: str) -> np.ndarray:
        output = photo.parent / "o.png"
        network = ["--weights=embedded", "--offline"]
        assert run(f"--input={photo}", f"--output={output}", "--width=60%", f"--method={name}", *network, *args) == 0
        return read_image(output)

    plain = result("deep_sc")
    for option in ("--alpha=0", "--region=receptive", "--taps=block1_conv2"):
        assert not np.array_equal(plain, result("deep_sc", option)), option


def test_names_options_and_help_agree() -> None:
    values, fields = define_flags(), RetargetConfig.__dataclass_fields__
    assert NAMES[0] == "dnr"
    for method in METHODS.values():
        assert set(method.options) <= set(fields)
        assert method.summary in (values["method"].help or "")


def test_flags_are_checked_before_jax() -> None:
    program = (
        "import sys; from dnr_jax.resize import main; code = main(['resize', *sys.argv[1:]]);"
        " assert 'jax' not in sys.modules; sys.exit(code)"
    )
    flags = ["--method=sc", "--alpha=0.3", "--input=a.png", "--output=b.png"]
    done = subprocess.run([sys.executable, "-c", program, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--alpha does not apply" in done.stderr
