"""What an analysis says of the photo and the server, beside what its preview is drawn from."""

import pytest
from serve_runs import NETWORK, QUICK, small_photo
from starlette.testclient import TestClient

from dnr_jax.serve.app import make_app
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.openapi import describe_api
from dnr_jax.serve.settings import Settings
from dnr_jax.weights.names import NetworkChoice


def test_every_part_is_described_and_true_of_the_answer(engine: Engine) -> None:
    settings = Settings(network=NETWORK)
    with TestClient(make_app(settings, engine), base_url="http://127.0.0.1:8000") as client:
        # The server writes PNG for what it cannot write as it was.
        photo = ("a/photo.ppm", small_photo("PPM"), "image/x-portable-pixmap")
        found = client.post("/v1/analyse", files={"photo": photo}, data=QUICK).json()
    answers = describe_api("0", settings)["paths"]["/v1/analyse"]["post"]["responses"]
    described = answers["200"]["content"]["application/json"]["schema"]["properties"]
    assert set(found) == set(described)
    assert (found["name"], found["format"], found["arguments"]) == ("photo.ppm", "PNG", ["--weights=embedded"])


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        (Settings(network=NetworkChoice(offline=True, quiet=True)), []),
        (Settings(network=NetworkChoice(name="vgg19", weights_dir="/w")), ["--weights=vgg19", "--weights_dir=/w"]),
        (Settings(network=NetworkChoice(name="/home/me/w.h5")), ["--weights=/home/me/w.h5"]),
        (Settings(network=NetworkChoice(name="/home/me/w.h5", weights_dir="/w"), host="0.0.0.0"), ["--weights=w.h5"]),
        (Settings(network=NetworkChoice(name="/me/w.h5"), allow_hosts=("photos.example",)), ["--weights=w.h5"]),
        (Settings(network=NetworkChoice(), max_megapixels=50.0), ["--max_megapixels=50"]),
        (Settings(network=NetworkChoice(), max_megapixels=0.5), ["--max_megapixels=0.5"]),
    ],
)
def test_arguments_are_what_is_not_default(settings: Settings, arguments: list[str]) -> None:
    assert settings.arguments == arguments
