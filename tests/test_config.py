"""Options: defaults, presets, and everything that is refused."""

import dataclasses
import math
import re
from typing import Any

import pytest

from dnr_jax.config import DEFAULT_TAPS, PRESETS, RetargetConfig, preset_config


def test_defaults_are_the_papers_where_it_gives_them() -> None:
    config = RetargetConfig()
    assert config.taps == ("block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_pool")
    assert (config.alpha, config.warp_cell) == (0.5, 16)
    assert preset_config("paper").importance_percentile == 20
    assert (preset_config("paper").objects, preset_config("paper").warp) == ("none", "grid")
    assert (config.importance_percentile, config.objects, config.warp) == ("auto", "auto", "proportional")
    assert (config.region, config.init, config.loss) == ("projected", "seam", "norm")
    assert config.loss_weights == (1.0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": ()}, "taps is empty"),
        ({"taps": ("conv1",)}, "unknown tap 'conv1'.*block1_conv1"),
        ({"taps": ("block1_conv2", "block3_conv5")}, "block3_conv5"),
        ({"taps": ("block1_conv2", "block4_conv5")}, "block4_conv5"),
        ({"taps": ("block1_conv2", "block0_pool")}, "block0_pool"),
        ({"taps": ("block2_conv2", "block1_conv2")}, "shallow to deep"),
        ({"taps": ("block1_conv2", "block1_conv2")}, "each once"),
        ({"taps": ("block2_conv2", "block3_conv4")}, "init=seam needs a full-resolution tap.*block2_conv2"),
        ({"taps": ("block1_pool",)}, "init=seam"),
        ({"loss_weights": ()}, "loss_weights"),
        ({"loss_weights": (0.0, 0.0)}, "at least one above 0"),
        ({"loss_weights": (1.0, -0.1)}, "0 or more"),
        ({"loss_weights": (math.nan,)}, "loss_weights.*nan"),
        ({"loss_weights": (math.inf,)}, "loss_weights.*inf"),
        ({"loss_weights": (1.0,) * 6}, "6 values for 5 taps"),
        ({"region": "whole"}, "region is 'whole': choose projected or receptive"),
        ({"init": "zeros"}, "init is 'zeros': choose seam or linear or noise"),
        ({"loss": "l1"}, "loss is 'l1': choose norm or squared"),
        ({"rate_schedule": "linear"}, "rate_schedule is 'linear': choose cosine or constant"),
        ({"seam_kernel": "cuda"}, "seam_kernel is 'cuda': choose auto or scan or pallas"),
        ({"precision": "float16"}, "precision is 'float16': choose float32 or tensorfloat32 or bfloat16"),
        ({"importance_percentile": -0.1}, "importance_percentile is -0.1: .*from 0 to 100"),
        ({"importance_percentile": 100.5}, "importance_percentile is 100.5"),
        ({"importance_percentile": "most"}, "importance_percentile is 'most': give a number or auto"),
        ({"alpha": "auto"}, "alpha is 'auto': give a number$"),
        ({"importance_percentile": math.nan}, "importance_percentile is nan"),
        ({"alpha": -0.1}, "alpha is -0.1"),
        ({"alpha": 1.0}, "alpha is 1.0.*below 1"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"tolerance": -1e-9}, "tolerance is -1e-09"),
        ({"tolerance": 1.0}, "tolerance is 1.0.*below 1"),
        ({"most_crop": -0.1}, "most_crop is -0.1"),
        ({"most_crop": 1.1}, "most_crop is 1.1"),
        ({"object_weight": 1.1}, "object_weight is 1.1"),
        ({"face_weight": -0.1}, "face_weight is -0.1"),
        ({"word_weight": 2.0}, "word_weight is 2.0"),
        ({"keep": ()}, "keep is empty: name any of objects, faces, words, or give objects=none"),
        ({"keep": ("objects", "cats")}, "keep names 'cats': choose any of objects, faces, words"),
        ({"objects": "all"}, "objects is 'all': choose auto or none"),
        ({"warp": "mesh"}, "warp is 'mesh': choose proportional or grid"),
        ({"optimise": "some"}, "optimise is 'some': choose joints or everywhere"),
        ({"reconstruct_steps": -1}, "reconstruct_steps is -1"),
        ({"reconstruct_steps": 100_001}, "reconstruct_steps is 100001"),
        ({"refine_steps": -1}, "refine_steps is -1"),
        ({"refine_steps": 100_001}, "refine_steps is 100001"),
        ({"snapshot_every": -1}, "snapshot_every is -1"),
        ({"warp_cell": 0}, "warp_cell is 0: .*from 1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"reconstruct_rate": 0.0}, "reconstruct_rate is 0.0: give a positive number"),
        ({"reconstruct_rate": -1.0}, "reconstruct_rate is -1.0"),
        ({"reconstruct_rate": math.inf}, "reconstruct_rate is inf"),
        ({"refine_rate": 0.0}, "refine_rate is 0.0"),
        ({"refine_rate": math.nan}, "refine_rate is nan"),
    ],
)
def test_what_is_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        RetargetConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"importance_percentile": 0.0},
        {"importance_percentile": 100.0},
        {"importance_percentile": "auto"},
        {"alpha": 0.0},
        {"tolerance": 0.0},
        {"reconstruct_steps": 0, "refine_steps": 0},
        {"reconstruct_steps": 100_000},
        {"warp_cell": 1},
        {"seed": 2**32 - 1},
        {"taps": ("block1_conv1",)},
        {"taps": ("block2_conv2", "block3_conv4"), "init": "linear"},
        {"taps": ("block5_pool",), "init": "noise"},
        {"region": "receptive", "loss": "squared", "rate_schedule": "constant"},
        {"loss_weights": (0.0, 0.0, 0.0, 0.0, 1.0)},
        {"seam_kernel": "pallas", "precision": "bfloat16"},
        {"seam_kernel": "scan", "precision": "tensorfloat32"},
    ],
)
def test_what_is_at_the_limit_is_accepted(options: dict[str, Any]) -> None:
    config = RetargetConfig(**options)
    assert {name: getattr(config, name) for name in options} == options


@pytest.mark.parametrize(
    ("loss_weights", "taps", "weights"),
    [
        ((1.0,), ("block1_conv2",), (1.0,)),
        ((0.0, 2.0), ("block2_conv2",), (2.0,)),
        ((1.0, 0.0, 0.5), ("block1_conv2", "block3_conv4"), (1.0, 0.5)),
        ((0, 0, 0, 0, 3), ("block5_pool",), (3,)),
        ((1.0, 2.0, 3.0, 4.0, 5.0), DEFAULT_TAPS, (1.0, 2.0, 3.0, 4.0, 5.0)),
    ],
)
def test_only_taps_with_a_weight_enter_the_loss(
    loss_weights: tuple[float, ...], taps: tuple[str, ...], weights: tuple[float, ...]
) -> None:
    config = RetargetConfig(loss_weights=loss_weights)
    assert config.loss_taps == taps
    assert config.positive_loss_weights == weights


def test_the_paper_preset_starts_from_the_linear_image_at_a_constant_rate() -> None:
    config = preset_config("paper")
    assert (config.init, config.rate_schedule, config.tolerance) == ("linear", "constant", 0)
    assert config.reconstruct_steps >= 100  # Fewer leave most of the loss that a linear start has.
    assert (config.importance_percentile, config.alpha, config.loss_weights) == (20, 0.5, (1.0,))


def test_presets() -> None:
    assert preset_config("default") == RetargetConfig()
    fast, default = preset_config("fast"), RetargetConfig()
    assert fast.reconstruct_steps < default.reconstruct_steps
    assert fast.refine_steps < default.refine_steps
    for preset, options in PRESETS.items():
        assert {name: getattr(preset_config(preset), name) for name in options} == options


def test_options_win_over_the_preset() -> None:
    config = preset_config("paper", init="noise", seed=3)
    assert (config.init, config.seed, config.rate_schedule) == ("noise", 3, "constant")
    assert preset_config("paper").init == "linear"  # The preset itself is as before.


def test_unknown_presets_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="preset is 'slow': choose default or paper or fast"):
        preset_config("slow")
    with pytest.raises(ValueError, match="alpha is 2"):
        preset_config("paper", alpha=2)
    with pytest.raises(TypeError, match="stepps"):
        preset_config("paper", stepps=2)


def test_a_config_cannot_be_changed() -> None:
    config = RetargetConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, "alpha", 0.1)  # noqa: B010 (pyright sees a plain assignment for what it is)
    changed = dataclasses.replace(config, alpha=0.1)
    assert (config.alpha, changed.alpha) == (0.5, 0.1)
    with pytest.raises(ValueError, match="alpha"):
        dataclasses.replace(config, alpha=1.5)


def test_equal_configs_are_one_key() -> None:
    assert {RetargetConfig(): 1}[RetargetConfig(alpha=0.5)] == 1  # As static arguments of compiled functions must be.
    assert RetargetConfig() != RetargetConfig(alpha=0.4)


def test_levels_follow_the_taps() -> None:
    config = RetargetConfig(taps=("block1_conv2", "block4_pool"))
    assert [(level.tap, level.number, level.stride) for level in config.levels] == [
        ("block1_conv2", 0, 1),
        ("block4_pool", 1, 16),
    ]
    assert [level.tap for level in RetargetConfig().resolve((20, 300)).levels] == list(DEFAULT_TAPS[:4])
    assert config.full_resolution
    assert not RetargetConfig(taps=("block2_conv1",), init="linear").full_resolution


def test_every_option_explains_itself() -> None:
    for field in dataclasses.fields(RetargetConfig):
        assert field.metadata["help"].endswith("."), field.name
        default = getattr(RetargetConfig(), field.name)
        assert not field.metadata["choices"] or default == field.metadata["choices"][0], field.name
