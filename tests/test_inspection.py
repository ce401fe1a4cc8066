"""The look inside: what the page lists is what was written, and what was written is what happened."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from configs import paper_config
from drawn_photos import QUICK, textured_photo

from dnr_jax.config import RetargetConfig
from dnr_jax.inspection import sections, write_inspection
from dnr_jax.inspection.drawing import colour_map, draw_seams, to_picture
from dnr_jax.inspection.page import Chapter, Figure, render_page
from dnr_jax.inspection.sections import Section, draw_sections, effective_map
from dnr_jax.inspection.table import stop_reason, table_rows
from dnr_jax.pipeline import Result, retarget
from dnr_jax.planning.masks import Masks
from dnr_jax.weights import Weights

PHOTO = textured_photo(64, 96)
BASE = paper_config(
    taps=QUICK.taps, importance_percentile=0.0, reconstruct_steps=3, refine_steps=1, snapshot_every=2, tolerance=0
)
CASES: dict[str, tuple[tuple[int, int], RetargetConfig]] = {
    "both sides": ((60, 60), BASE),
    "unchanged": ((64, 96), BASE),
    "enlarged": ((64, 120), BASE),
    "coarse taps": (
        (64, 70),
        dataclasses.replace(BASE, taps=("block2_conv2", "block3_conv4"), init="linear", importance_percentile=100.0),
    ),
}


SLOW = ("enlarged", "coarse taps")


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES]
)
def case(request: pytest.FixtureRequest, small_vgg: Weights) -> tuple[Result, RetargetConfig]:
    target, config = CASES[request.param]
    return retarget(PHOTO, target, config, small_vgg), config


@pytest.fixture(scope="module")
def both(small_vgg: Weights) -> Result:
    return retarget(PHOTO, (60, 60), BASE, small_vgg)


class Page(HTMLParser):
    """A page's links, tags that are left open, and text."""

    VOID = ("meta", "img", "line", "circle", "polyline")

    def __init__(self, html: str):
        super().__init__()
        self.files: list[str] = []
        self.sizes: dict[str, tuple[int, int]] = {}
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        assert tag not in ("script", "link", "iframe", "object")
        if tag == "img":
            self.files.append(values["src"])
            self.sizes[values["src"]] = (int(values["width"]), int(values["height"]))
            assert values["alt"]
        elif "href" in values and self.open[-1] != "figure":
            self.files.append(values["href"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pictures(drawn: list[Section]) -> dict[str, np.ndarray]:
    return {picture.name: picture.pixels for section in drawn for picture in section.pictures}


def test_the_page_lists_every_picture_and_nothing_else(case: tuple[Result, RetargetConfig], tmp_path: Path) -> None:
    result, config = case
    folder = tmp_path / "made" / "here"
    write_inspection(folder, PHOTO, result, config)
    html = (folder / "index.html").read_text()
    page = Page(html)
    assert not page.open
    assert sorted(page.files) == sorted(path.name for path in folder.iterdir() if path.name != "index.html")
    assert [file[0] for file in page.files] == sorted(file[0] for file in page.files)
    assert "://" not in html
    for file, size in page.sizes.items():
        with PIL.Image.open(folder / file) as image:
            assert image.size == size
    for name, value in table_rows(result, config):
        assert name in page.text
        assert value in page.text
    losses = result.record["reconstruction"]["losses"]
    assert f"{losses[0]:.6g} to {losses[-1]:.6g}" in page.text


def test_each_step_of_the_method_is_drawn(case: tuple[Result, RetargetConfig]) -> None:
    result, config = case
    drawn = pictures(list(draw_sections(PHOTO, result, config)))
    np.testing.assert_array_equal(drawn["1_photo"], PHOTO)
    np.testing.assert_array_equal(drawn["8_result"], result.image)
    assert bool(result.snapshots) == bool(result.passes), "without seams there is nothing to reconstruct"
    for step, image in result.snapshots:
        np.testing.assert_array_equal(drawn[f"5_reconstruction_{step:05}"], to_picture(image))
    np.testing.assert_array_equal(drawn["6_after"], to_picture(result.refined))
    assert {f"2_importance_{tap}" for tap in config.taps} <= set(drawn)
    passes = [f"{number}_{step.side}" for number, step in enumerate(result.passes, 1)]
    assert {name for name in drawn if name.startswith("3_seams")} == {
        f"3_seams_{name}_{tap}" for name in passes for tap in config.taps
    }
    assert {f"2_effective_{name}" for name in passes} <= set(drawn)
    assert {name for name in drawn if name.startswith("7_warp")} == {f"7_warp_{side}" for side in result.warps}
    assert ("2_effective" in drawn) == (not result.passes)
    assert all(pixels.dtype == np.uint8 for pixels in drawn.values())


def test_seams_lie_over_the_photo_and_over_what_the_first_side_left(both: Result) -> None:
    drawn = pictures(list(draw_sections(PHOTO, both, BASE)))
    across, down = (step.carving.levels[0] for step in both.passes)
    order = np.asarray(across.order)
    ranks = np.where(order < int(across.removed), order, -1)
    np.testing.assert_array_equal(drawn["3_seams_1_width_block1_conv2"], draw_seams(PHOTO, ranks, 1))
    left = both.passes[0].new_size[1]
    ground = np.take_along_axis(PHOTO, np.asarray(across.kept)[:, :left, None], 1)
    order = np.asarray(down.order).T[:, :left]
    ranks = np.where(order < int(down.removed), order, -1)
    assert (ranks >= 0).any(0).all()
    np.testing.assert_array_equal(drawn["3_seams_2_height_block1_conv2"], draw_seams(ground, ranks, 1))


def test_starts_that_were_not_chosen_are_those_that_would_have_been(both: Result, small_vgg: Weights) -> None:
    noise = dataclasses.replace(BASE, init="noise")
    drawn = pictures(list(draw_sections(PHOTO, both, noise)))
    np.testing.assert_array_equal(drawn["4_start_seam"], to_picture(both.start))
    linear = retarget(PHOTO, (60, 60), dataclasses.replace(BASE, init="linear"), small_vgg)
    np.testing.assert_allclose(drawn["4_start_linear"], linear.start, atol=0.51)


def test_the_drawn_warps_end_at_the_result(both: Result) -> None:
    side = list(both.warps)[-1]
    drawn = pictures(list(draw_sections(PHOTO, both, BASE)))[f"7_warp_{side}"]
    drawn = drawn if side == "width" else drawn.swapaxes(0, 1)
    image = both.image if side == "width" else both.image.swapaxes(0, 1)
    bottom = drawn[-image.shape[0] :, : image.shape[1]]
    edges = np.minimum(np.rint(np.asarray(both.warps[side].new_edges)[1:-1]), image.shape[1] - 1).astype(int)
    same = (bottom == image).all(-1).all(0)
    assert same[np.setdiff1d(np.arange(image.shape[1]), edges)].all()


def test_objects_and_the_crop_are_drawn(small_vgg: Weights) -> None:
    objects = np.zeros((64, 96), np.float32)
    objects[8:60, 50:90] = 1
    config = RetargetConfig(taps=QUICK.taps, reconstruct_steps=2, refine_steps=1)
    result = retarget(PHOTO, (64, 56), config, small_vgg, masks=Masks(objects=objects))
    drawn = pictures(list(draw_sections(PHOTO, result, config)))
    # What was given is drawn over the whole photo: yellow inside, blue outside.
    given = drawn["2_salience"]
    assert given.shape == PHOTO.shape
    np.testing.assert_array_equal(given[30, 70], colour_map(np.array([[0.0, 1.0]]))[0, 1])
    np.testing.assert_array_equal(given[30, 10], colour_map(np.array([[0.0, 1.0]]))[0, 0])
    assert {"2_faces", "2_words"}.isdisjoint(drawn)
    brightness = drawn["2_objects"].astype(int).sum(-1)
    assert brightness[12:56, 56:84].mean() > 2 * brightness[:, :40].mean()
    # Ground at the left leaves the picture: it is faded in the photo before the warp.
    start = int(result.warps["width"].old_edges[0])
    assert start >= 8
    before = drawn["7_warp_width"][: PHOTO.shape[0]]
    refined = to_picture(result.refined)
    np.testing.assert_array_equal(before[:, :start], refined[:, :start] // 3 + 170)
    # Faces and words are drawn where they were looked for.
    sight = result.sight
    assert sight is not None
    seen = sight._replace(face_map=sight.objects, word_map=sight.objects, faces=np.zeros((2, 4), np.float32))
    sections = list(draw_sections(PHOTO, result._replace(sight=seen), config))
    captions = {picture.name: picture.caption for section in sections for picture in section.pictures}
    assert captions["2_faces"].startswith("Faces: 2 found")
    assert captions["2_words"].startswith("Words: 0 lines found")


def test_the_effective_map_sums_maps_of_mean_one() -> None:
    maps = (np.full((8, 8), 3.0, np.float32), np.full((4, 4), 0.5, np.float32))
    taps = ("block1_conv2", "block2_conv2")
    np.testing.assert_allclose(effective_map(maps, taps, (8, 8)), np.full((8, 8), 2.0), rtol=1e-6)
    spoilt = tuple(np.pad(values, ((0, 2), (0, 3)), constant_values=99) for values in maps)
    np.testing.assert_allclose(effective_map(spoilt, taps, (8, 8)), np.full((8, 8), 2.0), rtol=1e-6)


def test_a_float_photo_and_transparent_results_are_drawn(both: Result, tmp_path: Path) -> None:
    image = np.dstack([both.image, np.full(both.image.shape[:2], 7, np.uint8)])
    write_inspection(tmp_path, PHOTO.astype(np.float32), both._replace(image=image), BASE)
    with PIL.Image.open(tmp_path / "8_result.png") as written:
        np.testing.assert_array_equal(np.asarray(written), image)


@pytest.mark.parametrize("below", [False, True])
def test_a_file_is_no_directory(both: Result, tmp_path: Path, below: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    with pytest.raises(ValueError, match="is no directory"):
        write_inspection(file / "below" if below else file, PHOTO, both, BASE)
    assert file.read_bytes() == b"mine"


def test_a_full_disk_leaves_no_page_and_no_half_files(
    both: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = sections.write_atomically

    def fail_at_the_fifth(path: Path, data: bytes) -> None:
        if len(written) == 4:
            raise OSError(28, "No space left on device", str(path))
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(sections, "write_atomically", fail_at_the_fifth)
    with pytest.raises(OSError, match="No space"):
        write_inspection(tmp_path, PHOTO, both, BASE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)


@pytest.mark.parametrize(
    ("size", "target", "removed", "reason"),
    [
        ((64, 320), (64, 160), 5, "block5_pool: 5 of 5 seams, as many as"),
        ((64, 320), (64, 480), 5, "block5_pool: 5 of 5 seams, as many as"),
        ((64, 320), (64, 160), 2, "block5_pool: 2 of 5 seams; .*above the threshold of 1.5"),
        ((64, 320), (64, 310), 1, "1 of 1 seam, as many"),
        ((64, 330), (64, 325), 0, "block5_pool: the change is smaller than one neuron"),
    ],
)
def test_why_the_seams_stopped(size: tuple[int, int], target: tuple[int, int], removed: int, reason: str) -> None:
    step: dict[str, Any] = {"side": "width", "size": size, "wanted": target[1], "seams": {"block5_pool": removed}}
    step["damage"] = None
    assert re.search(reason, stop_reason(step, 1.5, paper_config()))


def test_the_table_tells_whatever_else_the_record_holds(both: Result) -> None:
    rows = table_rows(both._replace(record={**both.record, "protect_mask": {"width": 12}}), BASE)
    assert ("Protect mask", '{"width": 12}') in rows
    assert ("Photo", "96x64") in rows
    assert ("Result", "60x60") in rows


def test_text_cannot_break_the_page() -> None:
    nasty = '<b> & "quotes"'
    page = Page(render_page(nasty, [Chapter(nasty, nasty, [Figure("a.png", (1, 2), nasty)])], [(nasty, nasty)]))
    assert page.text.count(nasty) == 7
    assert not page.open
