"""Bodies of answers: one image, a zip of several, or the parts of a multipart stream."""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

from dnr_jax.photos.encode import FORMATS

BOUNDARY = "dnr-jax-part"
MULTIPART = f"multipart/mixed; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()
"""What closes a multipart stream."""
_EXTENSIONS = {name: extension for extension, name in reversed(FORMATS.items())}
_TYPES = {"JPEG": "image/jpeg", "TIFF": "image/tiff", "WEBP": "image/webp", "BMP": "image/bmp", "GIF": "image/gif"}
_IN_HEADER = (
    "method",
    "size",
    "intermediate_size",
    "target_size",
    "output_size",
    "passes",
    "warps",
    "notes",
    "seconds",
    "device",
)


class Output(NamedTuple):
    """A retargeted photo as a file.

    Attributes:
      name: its file name.
      media_type: of its format.
      data: its bytes.
      record: what happened, ready for JSON.
    """

    name: str
    media_type: str
    data: bytes
    record: dict[str, Any]


def name_output(source: str, label: str, file_format: str) -> str:
    """The file name of what a photo was made into: its own, what tells the target, and a format's extension.

    Example:
      >>> name_output("cat.jpeg", "640x480", "JPEG"), name_output("cat", "1x1", "PNG")
      ('cat_640x480.jpg', 'cat_1x1.png')
    """
    return f"{PurePath(source).stem}_{label}{_EXTENSIONS[file_format]}"


def media_type(file_format: str) -> str:
    """The media type of one of Pillow's formats that is written here."""
    return _TYPES.get(file_format, "image/png")


def disposition(name: str) -> str:
    """A Content-Disposition that names a file, whatever letters its name has."""
    return f"attachment; filename*=UTF-8''{quote(name)}"


def short_record(record: dict[str, Any]) -> str:
    """What of a record fits into a header: JSON in ASCII, without losses and options."""
    return json.dumps({name: record[name] for name in _IN_HEADER if name in record}, separators=(",", ":"))


def make_zip(outputs: Sequence[Output]) -> bytes:
    """A zip of files and, beside each, its record; images are not compressed again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for output in outputs:
            archive.writestr(output.name, output.data)
            record = json.dumps(output.record, indent=1)
            archive.writestr(f"{output.name}.json", record, compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def make_part(name: str, kind: str, data: bytes, *, file_name: str | None = None) -> bytes:
    """A part of a multipart stream, with its length, so that a reader need not look for the boundary."""
    named = f"; filename*=UTF-8''{quote(file_name)}" if file_name else ""
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: inline; name={name}{named}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode("ascii") + data + b"\r\n"


def json_part(name: str, content: Any) -> bytes:
    """A part that holds JSON."""
    return make_part(name, "application/json", json.dumps(content).encode())
