"""The HTTP interface, through Starlette's client: what comes back, in which form, and what is refused how."""

import copy
import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import PIL.Image
import pytest
from drawn_photos import textured_photo
from serve_runs import NETWORK, QUICK, SIZE, picture_file, read_picture, small_photo
from starlette.testclient import TestClient

from dnr_jax.pipeline import retarget
from dnr_jax.planning.masks import Masks
from dnr_jax.serve import running
from dnr_jax.serve.app import make_app
from dnr_jax.serve.engine import Engine
from dnr_jax.serve.fields import parse_fields
from dnr_jax.serve.guard import server_names
from dnr_jax.serve.settings import Settings
from dnr_jax.weights import Weights

PHOTO = ("photo.png", small_photo(), "image/png")


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(make_app(Settings(network=NETWORK), engine), base_url="http://127.0.0.1:8000") as client:
        yield client


def post(client: TestClient, path: str = "/v1/retarget", files: Any = None, **fields: str) -> Any:
    return client.post(path, files={"photo": PHOTO, **(files or {})}, data={**QUICK, **fields})


def test_the_image_is_what_the_method_makes(client: TestClient, embedded: Weights) -> None:
    answer = post(client, width="75%")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''photo_48x48.png"
    config = parse_fields(QUICK, {}).config
    pixels = np.asarray(read_picture(PHOTO[1]))
    expected = retarget(pixels.astype(np.float32), (48, 48), config, embedded).image
    np.testing.assert_array_equal(np.asarray(read_picture(answer.content)), np.rint(expected))
    record = json.loads(answer.headers["dnr-record"])
    assert (record["size"], record["target_size"]) == ([48, 64], [48, 48])


def test_masks_count(client: TestClient, embedded: Weights) -> None:
    mask = np.zeros(SIZE, bool)
    mask[:, 40:60] = True
    files = {"protect": ("../m.png", picture_file(mask.astype(np.uint8) * 255), "image/png")}
    answer = post(client, files=files, width="48")
    pixels = np.asarray(read_picture(PHOTO[1])).astype(np.float32)
    expected = retarget(pixels, (48, 48), parse_fields(QUICK, {}).config, embedded, masks=Masks(protect=mask)).image
    np.testing.assert_array_equal(np.asarray(read_picture(answer.content)), np.rint(expected))


def test_a_format_and_a_name_of_any_letters(client: TestClient) -> None:
    photo = ('../../Ж "a"\r\n.jpeg', small_photo("JPEG"), "image/jpeg")
    answer = client.post("/v1/retarget", files={"photo": photo}, data={**QUICK, "width": "75%", "format": "webp"})
    assert (answer.status_code, read_picture(answer.content).format) == (200, "WEBP")
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%D0%96")
    assert not set("/\\\r\n") & set(answer.headers["content-disposition"])


def test_a_stream_shows_progress_and_the_image_as_it_forms(client: TestClient) -> None:
    fields = {**QUICK, "width": "75%", "importance_percentile": "100"}
    answer = client.post("/v1/retarget", files={"photo": PHOTO}, data=fields, headers={"Accept": "multipart/mixed"})
    parts = answer.content.split(b"--dnr-jax-part")[1:-1]
    names = [re.findall(rb"name=(\w+)", part)[0].decode() for part in parts]
    assert names[0] == "progress"
    assert names[-2:] == ["record", "image"]
    assert answer.content.endswith(b"--dnr-jax-part--\r\n")
    forming = parts[names.index("forming")].split(b"\r\n\r\n", 1)[1]
    assert read_picture(forming).size == (48, 48)


def test_a_stream_tells_a_problem_too(client: TestClient) -> None:
    answer = client.post(
        "/v1/retarget", files={"photo": ("x.png", b"x", "image/png")}, headers={"Accept": "multipart/mixed"}
    )
    assert b"name=problem" in answer.content
    assert b"x.png is no image that can be read" in answer.content


def test_other_methods_run_as_well(client: TestClient) -> None:
    answer = client.post("/v1/retarget", files={"photo": PHOTO}, data={"method": "scl", "width": "75%"})
    assert read_picture(answer.content).size == (48, 48)
    assert json.loads(answer.headers["dnr-record"])["method"] == "scl"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"width": "9000"}, "--width is 9000 (9000 pixels): the width must be from 6 to 256 pixels, 10% to 400% of"),
        ({"wdth": "75%"}, "unknown field 'wdth': /docs lists them all"),
        ({"flagfile": "/etc/passwd"}, "unknown field 'flagfile': /docs lists them all"),
        ({"alpha": "2"}, "alpha is 2.0: it must be from 0 to below 1"),
        ({"preset": "slow"}, "flag --preset=slow: value should be one of <default|paper|fast>"),
        ({"method": "sc", "alpha": "0.2"}, "--alpha does not apply to --method=sc"),
        ({"objects": "cat.png"}, "objects is 'cat.png': give auto, none, or a mask as a file"),
        ({"background": "pale"}, "background is 'pale': give a colour"),
        ({"objects": "none", "keep": "faces"}, "--keep has no effect with objects=none"),
    ],
)
def test_options_are_refused_in_the_command_lines_words(client: TestClient, fields: Any, sentence: str) -> None:
    answer = client.post("/v1/retarget", files={"photo": PHOTO}, data=fields)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert problem["detail"].startswith(sentence)
    assert problem["type"] == "/docs#bad-options"


def test_sizes_are_parsed_as_the_command_line_does() -> None:
    order = parse_fields({"aspect": "1:1,2:1", "fit": "grow"}, {})
    assert [asked.target(SIZE).written for asked in order.targets] == [(64, 64), (48, 96)]


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (b"", "photo.png is empty: give a photo"),
        (b"x", "photo.png is no image that can be read: give a JPEG, PNG, WebP or TIFF photo"),
        (PHOTO[1][:80], "photo.png is damaged and cannot be read"),
        (small_photo("PNG", (5100, 5100), compress_level=1), "photo.png is 5100x5100 and has more than 25 megapixels"),
    ],
)
def test_photos_that_cannot_be_used(client: TestClient, photo: bytes, sentence: str) -> None:
    answer = client.post("/v1/retarget", files={"photo": ("photo.png", photo, "image/png")}, data={"width": "75%"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(sentence)


def test_a_mask_of_another_size(client: TestClient) -> None:
    files = {"remove": ("m.png", picture_file(np.zeros((9, 9), np.uint8)), "image/png")}
    answer = post(client, files=files, width="75%")
    assert answer.json()["detail"].startswith("the mask m.png is 9x9 and the photo 64x48")


@pytest.mark.parametrize(
    ("sent", "status", "sentence"),
    [
        ({"data": {"width": "75%"}}, 415, "the body is 'application/x-www-form-urlencoded'"),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
            400,
            "the form cannot be read: Missing",
        ),
        ({"files": {"picture": PHOTO}}, 400, "the file 'picture' is unknown"),
        ({"files": {"protect": PHOTO}}, 400, "the photo is missing"),
        ({"files": {"photo": (None, "text")}}, 400, "the field 'photo' is text"),
        ({"files": [("photo", PHOTO), ("photo", PHOTO)]}, 400, "the field 'photo' is given twice"),
        ({"files": {f"f{n}": (None, "1") for n in range(10_000)}}, 400, "the form cannot be read: Too many fields"),
        ({"files": {"photo": PHOTO, "width": (None, "7" * 5000)}}, 400, "the form cannot be read: Part exceeded"),
        ({"files": {"photo": PHOTO}, "params": {"url": "http://example.com/a.jpg"}}, 400, "the address has the"),
    ],
)
def test_forms_that_are_none(client: TestClient, sent: Any, status: int, sentence: str) -> None:
    answer = client.post("/v1/retarget", **sent)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(sentence)


def test_other_addresses_and_methods(client: TestClient) -> None:
    assert client.get("/nothing").json()["title"] == "There is nothing at this address"
    assert client.get("/page/..%2fapp.py").status_code == 404
    refused = client.get("/v1/retarget")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/docs", "/page/main.js", "/health", "/nothing", "/v1/retarget"])
def test_every_answer_forbids_what_comes_from_elsewhere(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:9000"}, 421),
        ({"host": "localhost:8000"}, 400),
        ({"host": "[::1]:8000"}, 400),
        ({"origin": "http://127.0.0.1:8000"}, 400),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 400),
    ],
)
def test_foreign_names_and_origins_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    # What passes fails later, for want of a photo.
    answer = client.post("/v1/retarget", files={"protect": PHOTO}, headers=headers)
    assert answer.status_code == status


def test_further_names_can_be_allowed(engine: Engine) -> None:
    app = make_app(Settings(network=NETWORK, host="0.0.0.0", allow_hosts=("photos.example", "b.example:1")), engine)
    with TestClient(app) as client:
        statuses = {
            host: client.get("/health", headers={"host": host}).status_code
            for host in ("photos.example", "photos.example:9", "b.example:1", "b.example:2", "0.0.0.0:8000")
        }
    assert statuses == {
        "photos.example": 200,
        "photos.example:9": 200,
        "b.example:1": 200,
        "b.example:2": 421,
        "0.0.0.0:8000": 421,
    }


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),
        ("", "http://127.0.0.1:8000/"),
        ("::", "http://[::1]:8000/"),
        ("fe80::7", "http://[fe80::7]:8000/"),
        ("photos.example", "http://photos.example:8000/"),
    ],
)
def test_the_page_that_is_opened_is_served(
    host: str, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(running.webbrowser, "open", opened.append)
    running._greet(Settings(network=NETWORK, host=host), open_browser=True, quiet=False)
    assert opened == [address]
    assert capsys.readouterr().err == f"dnr_jax.serve: {address} (Control-C ends it)\n"
    assert urlsplit(address).netloc in server_names(host, 8000, ())


def test_health_metrics_and_description(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "network": "embedded", "jobs": 0}
    post(client, width="75%")
    text = client.get("/metrics").text
    assert 'dnr_requests_total{method="POST",path="/v1/retarget",status="200"}' in text
    assert 'dnr_job_seconds_count{kind="retarget"}' in text
    described = client.get("/openapi.json").json()
    form = described["paths"]["/v1/retarget"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["alpha"]["type"] == "number"
    assert form["properties"]["preset"]["enum"] == ["default", "paper", "fast"]
    assert form["properties"]["importance_percentile"]["anyOf"] == [{"type": "number"}, {"const": "auto"}]


def test_what_is_refused_and_what_fails_is_counted(engine: Engine) -> None:
    with TestClient(make_app(Settings(network=NETWORK), engine), base_url="http://127.0.0.1:8000") as client:
        client.post("/v1/retarget", headers={"host": "evil.example"})
        client.post("/v1/analyse", headers={"origin": "http://evil.example"})
        client.post("/v1/retarget", files={"photo": ("x.png", b"x", "image/png")})
        client.post("/v1/retarget", files={"photo": ("x.png", b"x")}, headers={"Accept": "multipart/mixed"})
        lines = client.get("/metrics").text.splitlines()
    assert 'dnr_requests_total{method="POST",path="/v1/retarget",status="421"} 1' in lines
    assert 'dnr_requests_total{method="POST",path="/v1/analyse",status="403"} 1' in lines
    assert 'dnr_jobs_failed_total{kind="retarget",problem="bad-photo"} 2' in lines
    assert "dnr_jobs_abandoned_total 0" in lines


def test_large_requests_are_refused_on_the_way(engine: Engine) -> None:
    settings = Settings(network=NETWORK, max_upload=0.01)
    with TestClient(make_app(settings, engine), base_url="http://127.0.0.1:8000") as client:
        photo = ("a.png", bytes(20_000), "image/png")
        announced = client.post("/v1/retarget", files={"photo": photo})
        body = client.build_request("POST", "/v1/retarget", files={"photo": photo})
        pieces = (body.read()[start : start + 1000] for start in range(0, 20_000, 1000))
        streamed = client.post("/v1/retarget", content=pieces, headers={"content-type": body.headers["content-type"]})
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("the request has more than 0.01 megabytes")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"width": "400%", "height": "300%"},
            "256x144, which is 0.03686 megapixels, and the server makes 0.016 at most",
        ),
        ({"for": "story"}, "1080x1920, which is 2.074 megapixels, and the server makes"),
        ({"width": "400%", "frames": "all"}, "256x48 in 2 frames, which is 0.02458 megapixels, and the server makes"),
    ],
)
def test_targets_that_are_too_large_are_refused(engine: Engine, fields: dict[str, str], sentence: str) -> None:
    engine = copy.copy(engine)
    engine.most_megapixels = 0.004
    frames = [PIL.Image.fromarray(textured_photo(*SIZE, seed)) for seed in (1, 2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all="frames" in fields, append_images=frames[1:])
    with TestClient(make_app(Settings(network=NETWORK), engine), base_url="http://127.0.0.1:8000") as client:
        answer = post(client, files={"photo": ("photo.png", buffer.getvalue(), "image/png")}, **fields)
    assert (answer.status_code, answer.json()["type"]) == (413, "/docs#too-large")
    assert answer.json()["detail"].startswith(f"the target is {sentence}")


def test_a_zip_holds_images_and_records(client: TestClient) -> None:
    answer = post(client, aspect="1:1,3:2")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        sizes = {name: read_picture(archive.read(name)).size for name in archive.namelist() if name.endswith(".png")}
    assert sorted(sizes.values()) == [(48, 48), (64, 43)]
    assert len(archive.namelist()) == 4
