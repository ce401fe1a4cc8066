"""Downloads one file over HTTP: with limits on waiting, retries that resume, a check by digest, and a progress bar.

pooch keeps the file under a temporary name until its digest is right. The transfer itself is written here, because a
server that drips bytes satisfies every socket timeout and would hold a run for ever. Proxy variables (HTTPS_PROXY and
the like) are honoured.
"""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pooch
import requests
import urllib3
from tqdm import tqdm

from dnr_jax.weights.registry import Source

_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)


class Limits(NamedTuple):
    """How long a download may wait, and how often it tries.

    Attributes:
      connect: seconds in which the server must be reached.
      read: seconds in which at least one byte must come.
      window: seconds over which the rate is measured.
      slowest: bytes a second below which the server counts as stalled.
      attempts: how many attempts a transfer has in all; each takes it up where the last one broke off.
      pause: seconds before the second attempt; they double before each further one.
    """

    connect: float = 10.0
    read: float = 30.0
    window: float = 30.0
    slowest: float = 4096.0
    attempts: int = 3
    pause: float = 1.0


LIMITS = Limits()


class SourceError(Exception):
    """Raised for a source that did not serve its file; another source may."""


class NoConnectionError(SourceError):
    """Raised for a source that could not even be reached."""


class _BrokenError(Exception):
    """Raised for a transfer that broke off; the same source may serve the rest."""


def download(source: Source, folder: Path, limits: Limits) -> Path:
    """Downloads the file of a source, and checks it against the registry's digest and size.

    Args:
      source: the address of the file, with what is published about it.
      folder: the folder that the file is put into.
      limits: how long to wait, and how often to try.

    Returns:
      The path of the file.

    Raises:
      SourceError: the source cannot be reached, refuses, stalls, or serves another file.
      OSError: the folder cannot hold the file.
    """

    def transfer(url: str, output: str | Path, _: object) -> None:
        with Path(output).open("wb") as file:
            _transfer(url, file, limits)
            if source.size is not None and file.tell() != source.size:
                raise SourceError(f"served {file.tell()} bytes, not {source.size}: discarded")

    try:
        with _quiet_pooch():
            # pyright takes pooch's downloader protocol for one with keyword names.
            path = pooch.retrieve(source.url, source.digest, source.file, folder, downloader=transfer)  # pyright: ignore[reportArgumentType]
    except ValueError:  # pooch's word for a wrong digest.
        raise SourceError(f"served a file whose digest is not {source.digest}: discarded") from None
    return Path(path)


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _transfer(url: str, file: BinaryIO, limits: Limits) -> None:
    with requests.Session() as session, _progress_bar(url) as bar:
        for attempt in range(1, limits.attempts + 1):
            try:
                _attempt(session, url, file, bar, limits)
                file.flush()
                return
            except _BrokenError as error:
                if attempt == limits.attempts:
                    raise SourceError(f"{error}, {attempt} attempts") from None
                time.sleep(limits.pause * 2 ** (attempt - 1))


def _attempt(session: requests.Session, url: str, file: BinaryIO, bar: tqdm, limits: Limits) -> None:
    """Takes a transfer up where `file` ends, or from the start where the server cannot resume.

    Raises:
      _BrokenError: the transfer broke off again.
      SourceError: the source refuses, or is too slow.
      OSError: the file cannot be written.
    """
    done = file.tell()
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with _network_errors(limits), session.get(url, headers=headers, stream=True, timeout=limits[:2]) as response:
        if response.status_code in _TRANSIENT_STATUS:
            raise _BrokenError(f"answered {response.status_code} {response.reason}")
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        if not resumed:
            if response.status_code != 200:
                raise SourceError(f"answered {response.status_code} {response.reason}")
            file.seek(0)
            file.truncate()
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdigit() else None
        bar.reset(total)
        bar.update(done)
        start, counted = time.monotonic(), 0
        # read1 returns what has arrived; read would wait for a full chunk however slowly it comes.
        while chunk := response.raw.read1(1 << 16):
            _append(file, chunk)
            bar.update(len(chunk))
            counted += len(chunk)
            elapsed = time.monotonic() - start
            if elapsed >= limits.window:
                if counted < limits.slowest * elapsed:
                    raise SourceError(f"too slow: {counted} bytes in {elapsed:.0f} s")
                start, counted = time.monotonic(), 0
        if total is not None and file.tell() != total:
            raise _BrokenError(f"broke off after {file.tell()} of {total} bytes")


def _append(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)


@contextlib.contextmanager
def _network_errors(limits: Limits) -> Iterator[None]:
    """Turns what requests and urllib3 raise into `_BrokenError`, where another attempt may help, or `SourceError`."""
    try:
        yield
    except (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        raise NoConnectionError(f"no connection within {limits.connect:.0f} s") from None
    except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
        raise SourceError(f"too slow: nothing for {limits.read:.0f} s") from None
    except requests.ConnectionError as error:
        cause = error.args[0] if error.args else None
        if isinstance(cause, urllib3.exceptions.ProtocolError):
            raise _BrokenError(f"broke off before it answered ({_brief(cause)})") from None
        raise NoConnectionError(f"no connection ({_brief(getattr(cause, 'reason', None) or error)})") from None
    except requests.RequestException as error:
        raise SourceError(_brief(error)) from None
    except urllib3.exceptions.HTTPError as error:
        raise _BrokenError(f"broke off in the middle ({_brief(error)})") from None


def _brief(error: BaseException) -> str:
    return re.sub(r"^HTTPS?Connection(Pool)?\(.*?\): ", "", " ".join(str(error).split()))[:200]


@contextlib.contextmanager
def _progress_bar(url: str) -> Iterator[tqdm]:
    bar = tqdm(
        desc=url.rpartition("/")[2],
        unit="B",
        unit_scale=True,
        leave=False,
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        yield bar
