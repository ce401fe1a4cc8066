"""Reads the text fields of a request, which are the commands' flags by name, with the same code. Needs no JAX."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from absl import flags

from dnr_jax.config import RetargetConfig
from dnr_jax.methods import NAMES, check_options, describe_methods
from dnr_jax.photos.encode import FORMATS
from dnr_jax.photos.kinds import Colour, parse_background
from dnr_jax.shell.flags import (
    check_nothing_is_looked_for,
    config_from_flags,
    define_method_flags,
    define_size_flags,
    size_arguments,
)
from dnr_jax.shell.targets import Asked, check_without_photo, list_targets

EXTENSIONS = {extension[1:]: name for extension, name in FORMATS.items()}
"""Pillow's names of the formats that a request may ask for, by extension."""
MASKS = ("protect", "remove", "objects")
"""The fields that may hold a mask as a file."""
_NOT_FOR_A_REQUEST = {"weights": "auto", "weights_dir": None, "inspect_dir": None}


@dataclasses.dataclass(frozen=True)
class Order:
    """What the text fields of a request ask for.

    Attributes:
      method: the name of the method: "dnr", or an operator that it is compared with.
      config: the options of the method.
      targets: the sizes wanted, at least one.
      frames: what to do with an animation, "refuse" or "all".
      background: the colour that transparent parts are laid on; None to keep them transparent.
      file_format: the format of the output, one of the values of `EXTENSIONS`; None for the photo's own.
    """

    method: str
    config: RetargetConfig
    targets: list[Asked]
    frames: Any
    background: Colour | None
    file_format: str | None


def define_fields() -> flags.FlagValues:
    """Defines a flag for every text field that a request may hold."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "files"}
    flags.DEFINE_enum("format", None, list(EXTENSIONS), "Format of the output. Default: the photo's own.", **text)
    flags.DEFINE_string(
        "objects",
        None,
        "What counts as an object: auto (what small networks see), none (nothing beyond the feature network itself);"
        " or, as a file, a grey mask of the photo's size, whiter where it matters more. Default: auto.",
        **text,
    )
    flags.DEFINE_string("background", None, "Colour behind a transparent photo where JPEG is written.", **text)
    flags.DEFINE_enum("frames", "refuse", ["refuse", "all"], "Animations: refuse, or retarget all frames.", **text)
    flags.DEFINE_enum("method", "dnr", list(NAMES), f"What retargets: {describe_methods()}.", **text)
    define_size_flags(values)
    define_method_flags(values)
    return values


def parse_fields(texts: Mapping[str, str], masks: Mapping[str, Any]) -> Order:
    """Reads what the text fields of a request ask for.

    Args:
      texts: the values of the text fields, by name.
      masks: the files of the request, by name; only which of them there are counts.

    Raises:
      ValueError: a field is unknown, or the command line would refuse it; the message is the command line's.
    """
    values = define_fields()
    for name, text in texts.items():
        # Looked up first: absl itself would read files for a flag called flagfile.
        if name not in values:
            raise ValueError(f"unknown field {name[:40]!r}: /docs lists them all")
        try:
            values[name].parse(text)
        except flags.Error as error:
            raise ValueError(str(error)) from None
        values[name].using_default_value = False
    values.mark_as_parsed()
    options: dict[str, Any] = {name: values[name].value for name in values}
    if options["objects"] not in (None, "auto", "none"):
        raise ValueError(f"objects is {options['objects'][:40]!r}: give auto, none, or a mask as a file")
    if "objects" in masks:
        if options["objects"] is not None:
            raise ValueError("objects is given as text and as a file: leave one of them out")
        check_nothing_is_looked_for(options, "beside a mask of objects, which replaces all that the networks see")
    # Masks are checked as the command line checks them: by whether they are given.
    check_options({**options, **_NOT_FOR_A_REQUEST, **{name: masks.get(name) for name in ("protect", "remove")}})
    if options["method"] != "dnr" and "objects" in masks:
        raise ValueError(f"--objects does not apply to --method={options['method']}: leave the mask out")
    targets = list_targets(size_arguments(options))
    for target in targets:
        check_without_photo(target)
    return Order(
        method=options["method"],
        config=config_from_flags(options),
        targets=targets,
        frames=options["frames"],
        background=None if options["background"] is None else parse_background(options["background"]),
        file_format=None if options["format"] is None else EXTENSIONS[options["format"]],
    )
