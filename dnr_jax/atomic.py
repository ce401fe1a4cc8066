"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, folder: Path | None = None) -> None:
    """Writes `data` to `path`; on any failure or interrupt, what was there before stays and no temporary file does.

    Args:
      path: the file.
      data: its content.
      folder: where the temporary file lies, on the same file system; None for beside `path`.

    Raises:
      OSError: as the file system has it (missing directory, no permission, disk full).
    """
    descriptor, name = tempfile.mkstemp(dir=folder or path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
