"""Docstrings as Griffe reads them: the package writes "Example:" where Griffe knows "Examples:" alone."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Renames the section while a package is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
