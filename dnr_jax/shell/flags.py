"""Flags that commands share: sizes, the network, and one for every option of `RetargetConfig`. Needs no JAX."""

import dataclasses
from typing import Any

from absl import flags

from dnr_jax.config import PRESETS, RetargetConfig, preset_config
from dnr_jax.shell.uses import describe_uses
from dnr_jax.weights.names import NetworkChoice, describe_names

_DEFINERS = {"str": flags.DEFINE_string, "int": flags.DEFINE_integer, "float": flags.DEFINE_float}
SIZE_FLAGS = ("width", "height", "size", "aspect", "fit", "max_side", "for")
_ARGUMENTS = {"size": "size_text", "for": "use"}
"""The arguments of `parse_target`, by flag, whose names differ from the flags'."""


def define_size_flags(values: flags.FlagValues) -> None:
    """Defines the flags of target sizes, whose values `size_arguments` reads."""
    text = {"flag_values": values, "module_name": "sizes"}
    flags.DEFINE_string(
        "width", None, "Target width: pixels (480) or percent (75%), or several: 75%,50%. Default: unchanged.", **text
    )
    flags.DEFINE_string(
        "height", None, "Target height: pixels or percent, or as many as widths. Default: unchanged.", **text
    )
    flags.DEFINE_string("size", None, "Both in pixels, width first: 480x320, or several: 480x320,320x320.", **text)
    flags.DEFINE_string(
        "aspect", None, "Width to height (16:9 or 1.5), or several (1:1,4:5): changes one side, and says which.", **text
    )
    flags.DEFINE_string(
        "for",
        None,
        "Exact pixels of a use, or several: retargeting gives the photo its aspect, plain scaling the pixels."
        f" {describe_uses()}.",
        **text,
    )
    flags.DEFINE_enum(
        "fit", None, ["shrink", "grow"], "What --aspect and --for may do to that side. Default: shrink.", **text
    )
    flags.DEFINE_integer("max_side", None, "Most pixels of the longer side; both shrink by the same share.", **text)


def define_network_flags(values: flags.FlagValues) -> None:
    """Defines the flags that say which network to load, whose values `network_from_flags` reads."""
    text = {"flag_values": values, "module_name": "network"}
    flags.DEFINE_string(
        "weights",
        "auto",
        f"Network: {describe_names()}, or the path of a weights file.",
        **text,
    )
    flags.DEFINE_string("weights_dir", None, "Where VGG19 is kept. Default: the user's cache directory.", **text)
    flags.DEFINE_boolean("offline", None, "Never fetch VGG19. Default: as $DNR_JAX_OFFLINE says.", **text)


def network_from_flags(options: dict[str, Any]) -> NetworkChoice:
    """The network that the flags ask for.

    Args:
      options: the values of the flags by name, "quiet" among them.
    """
    return NetworkChoice(
        name=options["weights"],
        weights_dir=options["weights_dir"],
        offline=options["offline"],
        quiet=options["quiet"],
    )


def define_method_flags(values: flags.FlagValues) -> None:
    """Defines a flag for presets, and one for every option of `RetargetConfig`, under its name.

    Args:
      values: the command's flags; an option that has one among them already is left out.
    """
    text = {"flag_values": values, "module_name": "options of the method"}
    flags.DEFINE_enum("preset", "default", list(PRESETS), "Set of options to start from.", **text)
    for field in dataclasses.fields(RetargetConfig):
        if field.name in values:
            continue  # The command has a flag of its own for it.
        default = field.default
        help_text = f"{field.metadata['help']} Default: {_show(default)}."
        if field.metadata["choices"]:
            flags.DEFINE_enum(field.name, None, list(field.metadata["choices"]), help_text, **text)
        elif isinstance(default, tuple):
            flags.DEFINE_list(field.name, None, help_text, **text)
        elif field.metadata["word"] is not None:
            parser, serializer = _NumberOrWord(field.metadata["word"]), flags.ArgumentSerializer()
            flags.DEFINE(parser, field.name, None, help_text, serializer=serializer, **text)
        else:
            _DEFINERS[type(default).__name__](field.name, None, help_text, **text)


class _NumberOrWord(flags.FloatParser):
    """Parses a flag whose value is a number, or one word in its place."""

    def __init__(self, word: str):
        super().__init__()
        self.word = word
        self.syntactic_help = f"a number or {word}"

    def parse(self, argument: Any) -> Any:
        if argument == self.word:
            return argument
        try:
            return super().parse(argument)
        except (TypeError, ValueError):
            raise ValueError(f"give a number or {self.word}") from None


def config_from_flags(options: dict[str, Any]) -> RetargetConfig:
    """The config that the flags describe.

    Args:
      options: the values of the flags by name; None for those that are not given.

    Raises:
      ValueError: an option is out of range or contradicts another, or has no effect because nothing is looked for in
        the photo, or because it is the other warp's.
    """
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(RetargetConfig):
        value = options[field.name]
        if value is None:
            continue
        if field.name == "loss_weights":
            try:
                value = [float(item) for item in value]
            except ValueError:
                raise ValueError(f"loss_weights is {','.join(value)}: give numbers, for instance 1,0.5") from None
        chosen[field.name] = tuple(value) if isinstance(value, list) else value
    config = preset_config(options["preset"], **chosen)
    if config.objects == "none":
        check_nothing_is_looked_for(options, "with objects=none")
    for name, warp in (("most_crop", "proportional"), ("warp_cell", "grid")):
        if options[name] is not None and config.warp != warp:
            raise ValueError(f"--{name} has no effect with warp={config.warp}: leave it out, or give --warp={warp}")
    return config


def check_nothing_is_looked_for(options: dict[str, Any], when: str) -> None:
    """Refuses flags that say what to look for in a photo where nothing is looked for.

    Args:
      options: the values of the flags by name.
      when: says in the message why nothing is looked for.

    Raises:
      ValueError: such a flag is given.
    """
    for name in ("keep", "object_weight", "face_weight", "word_weight"):
        if options[name] is not None:
            raise ValueError(f"--{name} has no effect {when}: leave it out")


def size_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The values of the size flags as keyword arguments of `parse_target`; each text may be a list with commas."""
    return {_ARGUMENTS.get(name, name): options[name] for name in SIZE_FLAGS}


def _show(default: Any) -> str:
    """A default as a help text shows it."""
    return ",".join(map(str, default)) if type(default) is tuple else str(default)
