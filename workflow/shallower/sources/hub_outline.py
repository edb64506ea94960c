"""Files of the hub in outline: of their full size, with the bytes that describe the content and a hole for the rest.

Readers of headers and footers take them as they are, so that a file of gigabytes is checked by some kilobytes of it.
"""

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from shallower.sources.hub_requests import ANSWER_TIMEOUT, Commit, explained, token, with_retries

# How much is asked for at first, and at most: longer descriptions are read in a second request, up to what the
# safetensors library accepts as a header.
FIRST_BYTES = 100_000
MOST_BYTES = 100_000_000

# Bytes of a file, by start and number; None when the hub sends it only as a whole.
Read = Callable[[int, int], bytes | None]


def outline(commit: Commit, filename: str, size: int, target: Path) -> bool:
    """Write the outline of a file, and say whether it describes the content.

    That of a safetensors file has its header, that of a parquet file its footer. Of other files only the first byte is
    asked for, which shows whether this user may read them; nor is there more where the hub sends no parts of files.
    Raises UserError as `shallower.sources.hub.download` does.
    """

    def read(start: int, length: int) -> bytes | None:
        return _read(commit, filename, start, length)

    match Path(filename).suffix:
        case ".safetensors":
            start, content = 0, _header(read, size)
        case ".parquet":
            start, content = _footer(read, size)
        case _:
            read(0, min(size, 1))
            return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.truncate(size)
        file.seek(start)
        file.write(content)
    return bool(content)


def _header(read: Read, size: int) -> bytes:
    """The beginning of a safetensors file: 8 bytes with the length of the header, and the header."""
    begin = read(0, min(size, FIRST_BYTES)) or b""
    length = 8 + int.from_bytes(begin[:8], "little")
    if len(begin) < length <= min(size, MOST_BYTES):
        begin = read(0, length) or b""
    return begin


def _footer(read: Read, size: int) -> tuple[int, bytes]:
    """The end of a parquet file, and where it starts: the footer, 4 bytes with its length, PAR1."""
    length = min(size, FIRST_BYTES)
    end = read(size - length, length) or b""
    needed = 8 + int.from_bytes(end[-8:-4], "little")
    if end and length < needed <= min(size, MOST_BYTES):
        length = needed
        end = read(size - length, length) or b""
    return size - length, end


def _read(commit: Commit, filename: str, start: int, length: int) -> bytes | None:
    """Some bytes of a file; None when they are not at its start and the hub sends no ranges."""
    url = huggingface_hub.hf_hub_url(commit.repository, filename, repo_type=commit.repo_type, revision=commit.revision)
    headers = build_hf_headers(token=token()) | {
        "Range": f"bytes={start}-{max(start, start + length - 1)}",
        "Accept-Encoding": "identity",
    }

    def ask() -> bytes | None:
        with huggingface_hub.get_session().stream("GET", url, headers=headers, timeout=ANSWER_TIMEOUT) as response:
            if response.is_error:
                response.read()  # the reason may be in it
            hf_raise_for_status(response)
            if start and response.status_code != 206:
                return None
            content = bytearray()
            # Stops early where the whole file is sent in spite of the range.
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) >= length:
                    break
            return bytes(content[:length])

    with explained(commit, filename):
        return with_retries(f"{commit}: {filename}", ask)
