"""What can be compared, as named on the command line: DNR with any options, other operators, published results.

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
      config: DNR's options; None for all others.
      operator: the operator of `METHODS` that runs; None for all other methods.
      published: the operator whose published results are read; None for all others.
    """

    name: str
    config: RetargetConfig | None = None
    operator: str | None = None
    published: str | None = None

    @property
    def slug(self) -> str:
        """The name as a file's."""
        return self.name.replace(":", "_").replace("=", "-")


def parse_methods(text: str, cases: Sequence[Case]) -> list[Method]:
    """The methods of a comma-separated list, in its order, each once.

    Raises:
      ValueError: an unknown name or option; the message says what there is.
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
    """Text as a value of the default's type."""
    if isinstance(default, tuple):
        return tuple(type(default[0])(item) for item in text.split("+"))
    return type(default)(text)
