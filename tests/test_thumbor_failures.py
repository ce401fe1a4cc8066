"""The filter where it fails, in a stand-in for thumbor: it leaves the photo to be cropped, and says why."""

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest

from dnr_jax.weights.fetch import FetchError

WARNING = "dnr() leaves photo.jpg to be cropped: "


class JaxRuntimeError(RuntimeError):
    """Has the name of what JAX raises for a device."""


class Threads:
    """A stand-in for thumbor's pool: works at once."""

    async def queue(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What the work returns."""
        return work(*arguments)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> Iterator[ModuleType]:
    """The filter's module, imported with stand-ins for the four modules of thumbor that it needs."""
    filters = {
        "PHASE_AFTER_LOAD": 0,
        "BaseFilter": type("BaseFilter", (), {}),
        "filter_method": lambda: lambda method: method,
    }
    logger = SimpleNamespace(warning=lambda text, *values: warnings.append(text % values))
    names = {
        "thumbor": {},
        "thumbor.config": {"Config": SimpleNamespace(define=lambda *_: None)},
        "thumbor.filters": filters,
        "thumbor.utils": {"logger": logger},
    }
    for name, content in names.items():
        stand_in = ModuleType(name)
        vars(stand_in).update(content)
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.delitem(sys.modules, "dnr_jax.thumbor.filter", raising=False)
    yield importlib.import_module("dnr_jax.thumbor.filter")
    # The next test that asks for it, with thumbor itself, imports it anew.
    sys.modules.pop("dnr_jax.thumbor.filter", None)


def apply(module: ModuleType, weights: str) -> bool:
    """Applies the filter to a photo; whether it has left the photo as it was."""
    image = PIL.Image.fromarray(np.zeros((48, 64, 3), np.uint8))
    engine = SimpleNamespace(image=image, size=image.size, is_multiple=lambda: False)
    request = SimpleNamespace(width=48, height=48, image_url="photo.jpg", should_crop=False, trim=None, engine=engine)
    config = SimpleNamespace(RESPECT_ORIENTATION=False, DNR_PRESET="fast", DNR_WEIGHTS=weights)
    dnr = module.Filter()
    dnr.engine, dnr.context = engine, SimpleNamespace(request=request, config=config, thread_pool=Threads())
    asyncio.run(dnr.dnr())
    return engine.image is image


def test_a_network_that_is_missing(module: ModuleType, warnings: list[str]) -> None:
    assert apply(module, "/nowhere/weights.npz")
    (line,) = warnings
    assert line.startswith(f"{WARNING}no weights file /nowhere/weights.npz: give a path")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FetchError("vgg19 cannot be fetched:\n try again"), "vgg19 cannot be fetched: try again"),
        (MemoryError(), "not enough memory for this photo: scale it down first"),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "not enough memory for this photo: scale it down first"),
        (FloatingPointError("the optimisation diverged"), "the optimisation diverged"),
    ],
)
def test_what_may_happen_to_any_photo(
    module: ModuleType, warnings: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(module, "retarget", fail)
    assert apply(module, "embedded")
    (line,) = warnings
    assert line.startswith(WARNING + reason)


def test_a_defect_is_not_hidden(module: ModuleType, monkeypatch: pytest.MonkeyPatch, warnings: list[str]) -> None:
    monkeypatch.setattr(module, "retarget", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        apply(module, "embedded")
    assert not warnings
