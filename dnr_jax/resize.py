"""Content-aware resizing of one photo by reconstruction from deep features.

  python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%

narrows photo.jpg to three quarters of its width. Objects keep their shape; what gives way is what the network finds
unimportant. --height lowers it; both together do both; sizes above 100% enlarge. --protect and --remove take masks.
"-" reads standard input or writes standard output. The first run at a new size spends some seconds compiling.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from dnr_jax.config import PRESETS, RetargetConfig, preset_config
from dnr_jax.methods import NAMES, check_options, describe_methods
from dnr_jax.sizes import Target, parse_target

if TYPE_CHECKING:
    from dnr_jax.photo_kinds import Photo

_DEFINERS = {"str": flags.DEFINE_string, "int": flags.DEFINE_integer, "float": flags.DEFINE_float}
_EXAMPLE = "python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%"


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code: 0 done, 2 bad input (one line on stderr says what and the remedy)."""
    values = define_flags()
    try:
        rest = values(argv)[1:]
        if values["help"].value:
            print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
            return 0
        if rest:
            raise ValueError(f"unexpected argument {rest[0]!r}: options are written --name=value")
        for name in ("input", "output"):
            if not values[name].value:
                raise ValueError(f"--{name} is missing: {_EXAMPLE}")
        options = {name: values[name].value for name in values}
        check_options(options)
        _run(options, _config(options))
    except (flags.Error, ValueError, OSError, FloatingPointError, MemoryError) as error:
        print(f"dnr_jax.resize: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dnr_jax.resize: interrupted, nothing written", file=sys.stderr)
        return 130
    return 0


def define_flags() -> flags.FlagValues:
    """The command's flags: files and sizes, and one for every option of `RetargetConfig` under its name."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "files"}
    flags.DEFINE_string(
        "input", None, "Photo to retarget, of any kind that Pillow reads; - for standard input.", **text
    )
    flags.DEFINE_string(
        "output", None, "File to write; its extension says the format. - for standard output, as the input.", **text
    )
    flags.DEFINE_boolean("overwrite", False, "Allow the output to replace the input.", **text)
    flags.DEFINE_string("protect", None, "Mask of the photo's size: what is white keeps its shape.", **text)
    flags.DEFINE_string("remove", None, "Mask of the photo's size: what is white disappears.", **text)
    flags.DEFINE_string("background", None, "Colour behind a transparent photo where JPEG is written.", **text)
    flags.DEFINE_enum("frames", "refuse", ["refuse", "all"], "Animations: refuse, or retarget all frames.", **text)
    flags.DEFINE_float("max_megapixels", 25.0, "Largest photo to decode.", **text)
    flags.DEFINE_string("record", None, "JSON file to write what happened to: sizes, seams, losses, times.", **text)
    flags.DEFINE_string(
        "inspect_dir", None, "Directory for pictures of every stage and a page that shows them.", **text
    )
    flags.DEFINE_boolean("quiet", False, "No progress and no notes on stderr.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    flags.DEFINE_enum("method", "dnr", list(NAMES), f"What retargets: {describe_methods()}.", **text)
    text["module_name"] = "sizes"
    flags.DEFINE_string("width", None, "Target width: pixels (480) or percent (75%). Default: unchanged.", **text)
    flags.DEFINE_string("height", None, "Target height: pixels or percent. Default: unchanged.", **text)
    flags.DEFINE_string("size", None, "Both in pixels, width first: 480x320.", **text)
    flags.DEFINE_string("aspect", None, "Width to height (16:9 or 1.5): changes one side, and says which.", **text)
    flags.DEFINE_enum("fit", None, ["shrink", "grow"], "What --aspect may do to that side. Default: shrink.", **text)
    flags.DEFINE_integer("max_side", None, "Most pixels of the longer side; both shrink by the same share.", **text)
    text["module_name"] = "network"
    flags.DEFINE_string(
        "weights",
        "auto",
        "Network: vgg19 (the paper's), embedded (built in), the path of a weights file, or auto: vgg19 where it is"
        " cached or can be fetched, else embedded.",
        **text,
    )
    flags.DEFINE_string("weights_dir", None, "Where VGG19 is kept. Default: the user's cache directory.", **text)
    flags.DEFINE_boolean("offline", None, "Never use the network. Default: as $DNR_JAX_OFFLINE says.", **text)
    text["module_name"] = "options of the method"
    flags.DEFINE_enum("preset", "default", list(PRESETS), "Set of options to start from.", **text)
    for field in dataclasses.fields(RetargetConfig):
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
    return values


class _NumberOrWord(flags.FloatParser):
    """A number, or one word in its place."""

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


def _config(options: dict[str, Any]) -> RetargetConfig:
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
    return preset_config(options["preset"], **chosen)


def _run(options: dict[str, Any], config: RetargetConfig) -> None:
    # Photo files need no JAX, whose import takes a second or two: what can be refused without it is refused first.
    from dnr_jax import image_io
    from dnr_jax.encode import check_output
    from dnr_jax.photo_kinds import parse_background

    background = None if options["background"] is None else parse_background(options["background"])
    image_io.output_format(options["output"])  # An unknown extension is refused before anything is read.
    for path in (options["output"], options["record"]):
        if path is not None:
            image_io.check_writable(path)
    _check_distinct(options)
    photo = image_io.read_photo(options["input"], max_megapixels=options["max_megapixels"], frames=options["frames"])
    target = _target(options, photo.size)
    output_format = image_io.output_format(options["output"], photo.kind)
    try:
        check_output(photo.kind, output_format, background, (target.height, target.width))
    except ValueError as error:
        raise ValueError(f"{options['output']}: {error}") from None
    masks = {
        name: image_io.read_mask(options[name], photo.size, max_megapixels=options["max_megapixels"])
        for name in ("protect", "remove")
        if options[name] is not None
    }
    _note(options, *(f"{options['input']}: {note}" for note in photo.notes), *([target.note] if target.note else []))

    from dnr_jax.methods import run_method

    outcome = run_method(options, _arrays(photo), (target.height, target.width), config, masks)
    _note(options, *outcome.notes)
    _write(options["output"], outcome.images, photo, background)
    if options["inspect_dir"] is not None and outcome.result is not None:
        from dnr_jax.inspection import write_inspection

        write_inspection(Path(options["inspect_dir"]), photo.pixels, outcome.result, config)
    if options["record"] is not None:
        image_io.write_bytes(options["record"], json.dumps(outcome.record, indent=1).encode())


def _check_distinct(options: dict[str, Any]) -> None:
    """Refuses an output that is one of the inputs, unless it may replace them."""
    output = options["output"]
    for name in ("input", "protect", "remove"):
        source = options[name]
        if source is None or "-" in (source, output) or options["overwrite"]:
            continue
        if Path(output).exists() and Path(source).exists() and Path(output).samefile(source):
            raise ValueError(f"{output} is the {name} as well: give --overwrite to replace it, or another name")


def _target(options: dict[str, Any], size: tuple[int, int]) -> Target:
    return parse_target(
        size,
        width=options["width"],
        height=options["height"],
        size_text=options["size"],
        aspect=options["aspect"],
        fit=options["fit"],
        max_side=options["max_side"],
    )


def _arrays(photo: "Photo") -> list[Any]:
    """Each frame as float32 [H, W, 3], or [H, W, 4] with opacity in [0, 255]."""
    import numpy as np

    return [
        frame.pixels if frame.alpha is None else np.concatenate([frame.pixels, 255 * frame.alpha[..., None]], -1)
        for frame in photo.frames
    ]


def _write(output: str, images: list[Any], photo: "Photo", background: tuple[int, int, int] | None) -> None:
    from dnr_jax import image_io
    from dnr_jax.photo_kinds import straighten

    pictures = []
    for image in images:
        pixels, alpha = image[..., :3], image[..., 3] / 255 if image.shape[-1] == 4 else None
        pictures.append((pixels if alpha is None else straighten(pixels, alpha), alpha))
    if photo.kind.animation is not None:
        image_io.write_animation(output, pictures, photo.kind, background=background)
    else:
        pixels, alpha = pictures[0]
        image_io.write_photo(output, pixels, alpha, photo.kind, background=background)


def _note(options: dict[str, Any], *lines: str) -> None:
    if not options["quiet"]:
        for line in lines:
            print(f"dnr_jax.resize: {line}", file=sys.stderr)


def _show(default: Any) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "not enough memory for this photo: scale it down first, or close other programs"
    return " ".join(str(error).split())


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main(sys.argv))


if __name__ == "__main__":
    run()
