"""Photos smaller than the deepest tap's neurons: taps=auto serves them, everywhere; taps given by name refuse them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from batch_photos import results, tiny_photo

from dnr_jax import resize
from dnr_jax.batch import command
from dnr_jax.config import DEFAULT_TAPS, RetargetConfig, preset_config
from dnr_jax.inspection import write_inspection
from dnr_jax.networks.taps import AutomaticTaps, Level
from dnr_jax.photos.files import read_image, write_photo
from dnr_jax.pipeline import retarget, retarget_frames
from dnr_jax.planning.masks import Masks
from dnr_jax.record import run_record
from dnr_jax.weights import Weights

QUICK: dict[str, Any] = {"reconstruct_steps": 2, "refine_steps": 1, "keep": ("objects",)}
FLAGS = ["--weights=embedded", "--reconstruct_steps=2", "--refine_steps=1", "--keep=objects"]
CASES = [
    ((40, 1), (30, 1), 1),
    pytest.param((4, 6), (4, 5), 3, marks=pytest.mark.slow),
    pytest.param((8, 8), (8, 6), 4, marks=pytest.mark.slow),
    pytest.param((20, 300), (20, 225), 4, marks=pytest.mark.slow),
    pytest.param((1, 24), (1, 18), 1, marks=pytest.mark.slow),
]
"""(height, width), target, and how many of the standard taps fit."""


@pytest.mark.parametrize(
    ("size", "count"), [((1, 900), 1), ((2, 2), 2), ((7, 4), 3), ((8, 8), 4), ((31, 900), 4), ((32, 32), 5)]
)
def test_the_taps_that_fit_are_the_deepest_whose_neurons_a_photo_holds(size: tuple[int, int], count: int) -> None:
    for config in (RetargetConfig(), preset_config("paper", taps="auto"), RetargetConfig(taps=("auto",))):
        resolved = config.resolve(size)
        assert resolved.taps == DEFAULT_TAPS[:count]
        assert all(Level(tap).stride <= min(size) for tap in resolved.taps)
        assert resolved.resolve((64, 64)).taps == DEFAULT_TAPS  # It is still automatic.
        assert len(resolved.tap_notes) == (count < 5)
    named = RetargetConfig(taps=DEFAULT_TAPS)
    assert named.resolve(size) is named
    assert not isinstance(named.taps, AutomaticTaps)


@pytest.mark.parametrize(
    ("weights", "left", "taps"),
    [
        ((1.0,), (1.0,), ("block1_conv2",)),
        ((0.0, 0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.0, 0.5), ("block4_conv4",)),
        ((0.0, 0.0, 0.0, 0.0, 3.0), (0.0, 0.0, 0.0, 3.0), ("block4_conv4",)),
    ],
)
def test_loss_weights_follow_the_taps(
    weights: tuple[float, ...], left: tuple[float, ...], taps: tuple[str, ...]
) -> None:
    resolved = RetargetConfig(loss_weights=weights).resolve((8, 8))
    assert (resolved.loss_weights, resolved.loss_taps) == (left, taps)


@pytest.mark.parametrize(("size", "target", "count"), CASES)
def test_small_photos_are_retargeted(
    embedded: Weights, tmp_path: Path, size: tuple[int, int], target: tuple[int, int], count: int
) -> None:
    config = RetargetConfig(**QUICK, importance_percentile=20.0)  # Choosing seams compiles longer.
    photo = tiny_photo(*size, 0)
    result = retarget(photo, target, config, embedded)
    assert result.image.shape == (*target, 3)
    assert result.record["taps"] == DEFAULT_TAPS[:count]
    (note,) = result.record["notes"]
    assert note == f"the photo is too small for {', '.join(DEFAULT_TAPS[count:])}: without them (taps=auto)"
    assert json.loads(json.dumps(run_record(result, config, embedded)))["config"]["taps"] == [*DEFAULT_TAPS[:count]]
    write_inspection(tmp_path, photo, result, config)
    assert (tmp_path / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedded", "small_vgg"])
@pytest.mark.parametrize("options", [{"preset": "paper"}, {"loss_weights": (0.0, 0.0, 0.0, 0.0, 1.0)}])
def test_with_presets_loss_weights_and_networks(
    request: pytest.FixtureRequest, name: str, options: dict[str, Any]
) -> None:
    config = preset_config(**{"preset": "default", **options, **QUICK})
    result = retarget(tiny_photo(8, 8, 1), (6, 6), config, request.getfixturevalue(name))
    assert result.image.shape == (6, 6, 3)


@pytest.mark.slow
def test_masks_opacity_enlarging_and_animations(embedded: Weights) -> None:
    config = RetargetConfig(**QUICK)
    photo, mask = tiny_photo(12, 16, 2), np.zeros((12, 16), bool)
    mask[4:8, 4:8] = True
    assert retarget(photo, (12, 12), config, embedded, masks=Masks(protect=mask)).image.shape == (12, 12, 3)
    opaque = np.dstack([photo, np.full((12, 16), 255, np.uint8)])
    assert retarget(opaque, (12, 20), config, embedded).image.shape == (12, 20, 4)
    frames = retarget_frames([photo, photo[:, ::-1]], (12, 12), config, embedded)
    assert [frame.record["taps"] for frame in frames] == [DEFAULT_TAPS[:4]] * 2


@pytest.mark.slow
def test_the_command_line_says_so_and_refuses_taps_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photo(tmp_path / "sprite.png", tiny_photo(8, 8, 3))
    files = [f"--input={tmp_path / 'sprite.png'}", f"--output={tmp_path / 'out.png'}", "--width=75%"]
    assert resize.main(["resize", *files, *FLAGS, "--taps=auto", f"--record={tmp_path / 'run.json'}"]) == 0
    assert "too small for block5_pool: without them (taps=auto)" in capsys.readouterr().err
    assert read_image(tmp_path / "out.png").shape == (8, 6, 3)
    assert json.loads((tmp_path / "run.json").read_text())["taps"] == [*DEFAULT_TAPS[:4]]
    assert resize.main(["resize", *files, *FLAGS, f"--taps={','.join(DEFAULT_TAPS)}"]) == 2
    assert "tap block5_pool needs at least 32" in capsys.readouterr().err
    for method in ("cr", "deep_sc"):
        assert resize.main(["resize", *files, "--weights=embedded", f"--method={method}"]) == 0
        assert read_image(tmp_path / "out.png").shape == (8, 6, 3)


@pytest.mark.slow
def test_a_batch_of_sprites_beside_a_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number, (height, width) in enumerate([(8, 8), (40, 20), (24, 1), (40, 48)]):
        PIL.Image.fromarray(tiny_photo(height, width, number)).save(folder / f"{number}.png")
    first, second = (PIL.Image.fromarray(tiny_photo(8, 12, number)) for number in range(2))
    first.save(folder / "4.gif", save_all=True, append_images=[second], duration=80)
    arguments = [f"--input={folder}", f"--output_dir={out}", "--height=75%", "--frames=all", "--workers=0", "--quiet"]
    arguments += ["--importance_percentile=20"]  # It compiles sooner than the search for the best.
    named = f"--taps={','.join(DEFAULT_TAPS)}"
    assert command.main(["batch", *arguments, *FLAGS, named]) == 1
    assert "1 done, 4 failed" in capsys.readouterr().out
    # What was refused because of its taps is asked for anew; what has its taps either way is done already.
    assert command.main(["batch", *arguments, *FLAGS]) == 0
    assert "4 done, 0 failed, 1 done before" in capsys.readouterr().out
    shapes = {}
    for name in results(out):
        with PIL.Image.open(out / name) as written:
            shapes[name] = written.size
    assert shapes == {"0.png": (8, 6), "1.png": (20, 30), "2.png": (1, 18), "3.png": (48, 30), "4.gif": (12, 6)}
    lines = [json.loads(line) for line in (out / ".dnr-batch/finished-0-of-1.jsonl").read_text().splitlines()]
    assert sum("taps=auto" in str(line.get("notes")) for line in lines) == 4
