"""Reads the methods that are to be compared from the command line, which may name these:

dnr                                         with default options
dnr:preset=paper:alpha=0.2                  with others; lists are written with +: taps=block1_conv2+block2_conv2
scl                                         an operator of `baselines.METHODS`
published:sc                                a result that comes with the data set
published                                   all of those that any photo has
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from dnr_jax.baselines import METHODS
from dnr_jax.config import RetargetConfig, preset_config
from dnr_jax.evaluation.dataset import Case


class Method(NamedTuple):
    """One method of the comparison.

    Attributes:
      name: the method's name, as it was given and is shown.
      config: the options of DNR; None for any other method.
      operator: the operator of `METHODS` to run; None for any other method.
      published: the operator whose published results are read; None for any other method.
    """

    name: str
    config: RetargetConfig | None = None
    operator: str | None = None
    published: str | None = None

    @property
    def slug(self) -> str:
        """The name, made fit for files."""
        return self.name.replace(":", "_").replace("=", "-")


def parse_methods(text: str, cases: Sequence[Case]) -> list[Method]:
    """Reads methods from a comma-separated list; gives them in its order, each once.

    Args:
      text: the list.
      cases: the photos of the data set, whose published results may be named.

    Raises:
      ValueError: a name or an option is unknown; the message says which there are.
    """
    found = sorted({operator for case in cases for operator in case.published})
    methods: dict[str, Method] = {}
    for name in (part.strip() for part in text.split(",")):
        for each in [f"published:{operator}" for operator in found] if name == "published" else [name]:
            methods.setdefault(each, _method(each, found))
    if not methods:
        raise ValueError("methods names nothing: the data set holds no published results, give for instance dnr,scl")
    return list(methods.values())


def _method(name: str, found: list[str]) -> Method:
    kind, *options = name.split(":")
    if kind == "dnr":
        return Method(name, config=_dnr_config(name, options))
    if kind == "published" and len(options) == 1:
        if options[0] not in found:
            raise ValueError(f"methods has {name}: the data set has {', '.join(found) or 'no published results'}")
        return Method(name, published=options[0])
    if kind in METHODS and not options:
        return Method(name, operator=kind)
    there = ", ".join(["dnr", *METHODS, *(f"published:{operator}" for operator in found)])
    raise ValueError(f"methods has {name!r}: choose from {there}")


def _dnr_config(name: str, options: Sequence[str]) -> RetargetConfig:
    fields = {field.name: field for field in dataclasses.fields(RetargetConfig)}
    values: dict[str, Any] = {"preset": "default"}
    for option in options:
        key, separator, text = option.partition("=")
        if not separator or (key not in fields and key != "preset"):
            raise ValueError(f"methods has {name!r}: {option!r} is no option of DNR, write for instance dnr:alpha=0.2")
        try:
            plain = key == "preset" or text == fields[key].metadata["word"]
            default = 0.0 if key != "preset" and fields[key].metadata["word"] else None
            values[key] = text if plain else _value(fields[key].default if default is None else default, text)
        except ValueError:
            raise ValueError(f"methods has {name!r}: {text!r} is no value for {key}") from None
    try:
        return preset_config(**values)
    except ValueError as error:
        raise ValueError(f"methods has {name!r}: {error}") from None


def _value(default: Any, text: str) -> Any:
    """Reads an option's value, of the type that its default has."""
    if isinstance(default, tuple):
        return tuple(type(default[0])(item) for item in text.split("+"))
    return type(default)(text)
