"""Content-aware resizing of one photo by reconstruction from deep features.

  python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%

narrows photo.jpg to three quarters of its width. Objects keep their shape; what gives way is what the network finds
unimportant. --height lowers it; both together do both. The first run at a new size spends some seconds compiling.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from dnr_jax.atomic import write_atomically
from dnr_jax.config import PRESETS, RetargetConfig, preset_config
from dnr_jax.progress import ProgressLine
from dnr_jax.sizes import parse_side

_DEFINERS = {"str": flags.DEFINE_string, "int": flags.DEFINE_integer, "float": flags.DEFINE_float}


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit code: 0 done, 2 bad input (one line on stderr says what and the remedy)."""
    values = define_flags()
    try:
        rest = values(argv)[1:]
        if values["help"].value:
            print(_help_text(values))
            return 0
        if rest:
            raise ValueError(f"unexpected argument {rest[0]!r}: options are written --name=value")
        config = _config(values)
        _run(values, config)
    except (flags.Error, ValueError, OSError, FloatingPointError) as error:
        print(f"dnr_jax.resize: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dnr_jax.resize: interrupted, nothing written", file=sys.stderr)
        return 130
    return 0


def define_flags() -> flags.FlagValues:
    """The command's flags: files and sizes, and one for every option of `RetargetConfig` under its name."""
    values = flags.FlagValues()
    text = {"flag_values": values, "module_name": "files and sizes"}
    flags.DEFINE_string("input", None, "Photo to retarget (JPEG, PNG or WebP).", **text)
    flags.DEFINE_string("output", None, "File to write; its extension (.png, .jpg, .webp) says the format.", **text)
    flags.DEFINE_string("width", None, "Target width: pixels (480) or percent (75%). Default: unchanged.", **text)
    flags.DEFINE_string("height", None, "Target height: pixels or percent. Default: unchanged.", **text)
    flags.DEFINE_string("record", None, "JSON file to write what happened to: sizes, seams, losses, times.", **text)
    flags.DEFINE_string(
        "weights",
        "auto",
        "Network: vgg19 (the paper's, fetched on first use), embedded (built in), the path of a weights file, or auto:"
        " vgg19 where it can be had, else embedded.",
        **text,
    )
    flags.DEFINE_string(
        "weights_dir",
        None,
        "Directory that keeps VGG19's weights. Default: $DNR_JAX_CACHE, else the platform's cache directory.",
        **text,
    )
    flags.DEFINE_boolean("offline", None, "Never use the network. Default: as $DNR_JAX_OFFLINE says.", **text)
    flags.DEFINE_enum("preset", "default", list(PRESETS), "Set of options to start from.", **text)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", **text)
    text["module_name"] = "options of the method"
    for field in dataclasses.fields(RetargetConfig):
        default = field.default
        help_text = f"{field.metadata['help']} Default: {_show(default)}."
        if field.metadata["choices"]:
            flags.DEFINE_enum(field.name, None, list(field.metadata["choices"]), help_text, **text)
        elif isinstance(default, tuple):
            flags.DEFINE_list(field.name, None, help_text, **text)
        else:
            _DEFINERS[type(default).__name__](field.name, None, help_text, **text)
    return values


def _run(values: flags.FlagValues, config: RetargetConfig) -> None:
    source, output = _required(values, "input"), _required(values, "output")
    record = Path(values["record"].value) if values["record"].value else None
    # JAX takes a second or two to import: everything that can be refused without it has been by now.
    from dnr_jax import image_io

    image_io.output_format(output)
    for path in (output, record):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"{path.parent} is no directory: create it first")
    image = image_io.read_image(source)
    target = (
        parse_side("height", values["height"].value, image.shape[0]),
        parse_side("width", values["width"].value, image.shape[1]),
    )

    from dnr_jax.pipeline import retarget
    from dnr_jax.record import run_record
    from dnr_jax.weights import load_weights

    weights = load_weights(str(values["weights"].value), values["weights_dir"].value, values["offline"].value)
    with ProgressLine(sys.stderr) as line:
        result = retarget(image, target, config, weights, progress=line.update)
    image_io.write_image(output, result.image)
    if record is not None:
        write_atomically(record, json.dumps(run_record(result, config, weights), indent=1).encode())


def _config(values: flags.FlagValues) -> RetargetConfig:
    options: dict[str, Any] = {}
    for field in dataclasses.fields(RetargetConfig):
        value = values[field.name].value
        if value is None:
            continue
        if field.name == "loss_weights":
            try:
                value = [float(item) for item in value]
            except ValueError:
                raise ValueError(f"loss_weights is {','.join(value)}: give numbers, for instance 1,0.5") from None
        options[field.name] = tuple(value) if isinstance(value, list) else value
    return preset_config(str(values["preset"].value), **options)


def _required(values: flags.FlagValues, name: str) -> Path:
    value = values[name].value
    if not value:
        raise ValueError(
            f"--{name} is missing: python -m dnr_jax.resize --input=photo.jpg --output=out.png --width=75%"
        )
    return Path(value)


def _help_text(values: flags.FlagValues) -> str:
    return f"{__doc__}\n{values.get_help(include_special_flags=False)}"


def _show(default: Any) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main(sys.argv))


if __name__ == "__main__":
    run()
