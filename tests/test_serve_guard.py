"""Which requests pass the server's guard, with nothing behind it."""

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from dnr_jax.serve.guard import Guard, proxy_origins, server_names

ALLOWED = ("photos.example", "b.example:8443", "c.example:443", "localhost", "127.0.0.1:7000")


@pytest.fixture
def client() -> TestClient:
    guard = Guard(Response("passed"), server_names("127.0.0.1", 8000, ALLOWED), proxy_origins(ALLOWED))
    return TestClient(guard, base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("origin", "site", "status"),
    [
        ("https://photos.example", None, 200),
        ("https://Photos.example", "same-origin", 200),
        ("http://photos.example", None, 200),
        ("https://b.example:8443", None, 200),
        ("https://c.example", None, 200),
        # A page there that sends to the server past the proxy, or from another port of the same name.
        ("https://photos.example", "cross-site", 403),
        ("https://photos.example", "same-site", 403),
        ("https://photos.example:9000", None, 403),
        ("https://b.example", None, 403),
        ("https://evil.photos.example", None, 403),
        ("https://photos.example.evil.example", None, 403),
        ("https://evil.example@photos.example", None, 403),
        ("https://evil.example", "same-origin", 403),
        ("http://localhost", None, 403),
        ("http://127.0.0.1:7000", None, 403),
        ("null", None, 403),
        ("", None, 403),
    ],
)
def test_a_proxy_may_replace_the_host(client: TestClient, origin: str, site: str | None, status: int) -> None:
    fetched = {} if site is None else {"sec-fetch-site": site}
    answer = client.post("/", headers={"origin": origin, **fetched})
    assert answer.status_code == status
    if status == 403:
        assert "use the server's page" in answer.json()["detail"]


def test_a_name_that_was_not_allowed_is_none_whatever_the_origin(client: TestClient) -> None:
    headers = {"host": "evil.example", "origin": "https://photos.example"}
    assert client.post("/", headers=headers).status_code == 421
