"""The reference of options and commands, from the config's fields and the commands' own help texts."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from absl import flags  # noqa: E402
from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

from dnr_jax import resize  # noqa: E402
from dnr_jax.batch import command as batch  # noqa: E402
from dnr_jax.config import PRESETS, RetargetConfig  # noqa: E402
from dnr_jax.evaluation import command as evaluation  # noqa: E402
from dnr_jax.serve import command as serve  # noqa: E402
from dnr_jax.weights import commands as weights  # noqa: E402

_OPTIONS = """# Options of the method

Every field of [`RetargetConfig`](python.md#dnr_jax.RetargetConfig) is an option of Python and, under the same name, a
flag of `dnr-resize` and `dnr-batch`: `RetargetConfig(alpha=0.2)` is `--alpha=0.2`. A value that is out of range is
refused in one line that says what it may be.
"""
_PRESETS = """
## Presets

`--preset=NAME` and `preset_config("NAME")` start from a set of options; what is given beside it counts more. What a
preset does not name has its default. None chooses the network: the paper's is [VGG19](../how-to/vgg19.md).

| preset | what it sets |
|---|---|
"""
_COMMANDS = """# Commands

Installing the package brings five commands; `python -m dnr_jax.resize`, `dnr_jax.batch`, `dnr_jax.serve`,
`dnr_jax.evaluation` and `dnr_jax.weights` are the same. What follows are their own help texts. Flags of the
method, which `dnr-resize` and `dnr-batch` share, are listed under [Options](options.md).
"""


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds the two pages to the site's files."""
    files.append(File.generated(config, "reference/options.md", content=options_page()))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    return files


def options_page() -> str:
    """Every field of the config, its default, its help text and what it may be."""
    parts = [_OPTIONS]
    for field in dataclasses.fields(RetargetConfig):
        choices = field.metadata["choices"]
        may_be = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
        parts.append(
            f"\n## {field.name}\n\n{_plain(field.metadata['help'])}{may_be} Default: `{_show(field.default)}`.\n"
        )
    parts.append(_PRESETS)
    for name, options in PRESETS.items():
        sets = ", ".join(f"`{option}={_show(value)}`" for option, value in options.items())
        parts.append(f"| `{name}` | {sets or 'nothing'} |\n")
    return "".join(parts)


def commands_page() -> str:
    """What each command does and its flags, without those of the method."""
    parts = [_COMMANDS]
    for name, module, values in (
        ("dnr-resize", resize, resize.define_flags()),
        ("dnr-batch", batch, batch.define_flags()),
        ("dnr-serve", serve, serve.define_flags()),
        ("dnr-evaluate", evaluation, evaluation.define_flags()),
    ):
        parts.append(f"\n## {name}\n\n```text\n{(module.__doc__ or '').strip()}\n```\n")
        parts += [flags_table(values, group) for group in values.flags_by_module_dict() if group != _METHOD]
    parts.append(f"\n## dnr-weights\n\n```text\n{(weights.__doc__ or '').strip()}\n```\n")
    return "".join(parts)


_METHOD = "options of the method"


def flags_table(values: flags.FlagValues, group: str) -> str:
    """One group of a command's flags, in the order in which they are defined."""
    rows = [f"\n| {group} | what it does |\n|---|---|\n"]
    for flag in values.flags_by_module_dict()[group]:
        choices = getattr(flag.parser, "enum_values", None)
        may_be = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
        default = f" Default: `{flag.default}`." if flag.default not in (None, False) else ""
        rows.append(f"| `--{flag.name}` | {_plain(flag.help)}{may_be}{default} |\n")
    return "".join(rows)


def _show(value: Any) -> str:
    if type(value) is tuple:
        return ",".join(map(str, value))
    return str(value)


def _plain(text: str) -> str:
    """A help text in one line, in which stars and bars stand for themselves."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")
