"""The names of networks: one list, which loading, help texts and processes elsewhere share."""

import dataclasses
from pathlib import Path

import pytest
from drawn_photos import textured_photo

from dnr_jax import resize
from dnr_jax.batch import command
from dnr_jax.batch.jobs import Request
from dnr_jax.batch.options import RunOptions
from dnr_jax.batch.ray_engine import _absolute
from dnr_jax.batch.session import open_session
from dnr_jax.config import RetargetConfig
from dnr_jax.photos.files import write_image
from dnr_jax.shell.targets import Asked
from dnr_jax.weights import load_weights
from dnr_jax.weights.load import load_chosen
from dnr_jax.weights.names import NAMES, NetworkChoice, describe_names


@pytest.mark.parametrize("name", sorted(NAMES.keys() - {"vgg19"}))
def test_every_name_loads_here_and_on_another_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "photo.png", textured_photo(40, 40))
    options = RunOptions(source=".", network=NetworkChoice(name=name), engine="ray")
    request = Request(config=RetargetConfig(), targets=(Asked("75", {"width": "75%"}),), output_dir=Path("out"))
    session = _absolute(open_session(options, request))
    assert session.options.network.name == name
    assert session.request.output_dir.is_absolute()
    assert load_chosen(session.options.network).provenance == load_weights(name).provenance


def test_a_path_is_made_absolute_for_another_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    choice = NetworkChoice(name="own.safetensors", weights_dir="cache")
    assert choice.absolute() == NetworkChoice(
        name=str(tmp_path / "own.safetensors"), weights_dir=str(tmp_path / "cache")
    )


def test_help_and_errors_know_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match="no weights file learnt") as raised:
        load_weights("learnt")
    for values in (resize.define_flags(), command.define_flags()):
        assert describe_names() in values["weights"].help
    for name in NAMES:
        assert name in str(raised.value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(NetworkChoice(), "name", "vgg19")  # noqa: B010
