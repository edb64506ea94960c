"""Converts pickled weights to a safetensors file: a program that runs in a process of its own.

    python -I pickle_converter.py PICKLE TARGET

The pickle is read by torch's restricted unpickler, which knows tensors and a few plain types and runs nothing else.
Should that ever fail, what the pickle could do is limited: before it is opened, this process gives up sockets,
other programs and changes of files, and gets limits of memory, computing time and file size. (Libraries written in C
are not held back by that; the unpickler itself is Python.) Only a flat mapping from names to plain tensors is accepted.

Exit status 0: TARGET is written. 3: the pickle is refused; standard output says why in one line.
"""

import os
import resource
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

REFUSED = 3

# How the bytes of a file of zip format begin, as torch writes it since version 1.6; older files hold several pickles.
ZIP_START = b"PK\x03\x04"
# Bytes of tensors for each byte of the pickle: matrices that are tied in the model are stored once and become two.
MOST_BYTES_PER_BYTE = 2
# Memory beyond that of a process with torch: the pickle, its tensors and copies of them, and some more.
MEMORY_PER_BYTE = 6
MORE_MEMORY = 2**30
CPU_SECONDS = 1800

# Beginnings of the names of audit events (PEP 578): what a reader of weights has no need of.
FORBIDDEN_EVENTS = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile", "os.fork"),
    *("os.kill", "os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "os.chdir", "os.chflags", "os.putenv", "os.unsetenv", "os.utime", "os.setxattr"),
    *("shutil.", "tempfile.", "pty.", "ctypes.", "signal.pthread_kill", "pickle.find_class"),
    *("urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "sqlite3.", "syslog.", "cpython.run_", "glob."),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refusal(Exception):
    """Why a pickle is not converted, to follow its name."""


def convert(pickle: Path, target: Path) -> None:
    """Write the tensors of a pickle to a safetensors file. Raises Refusal when it holds anything else."""
    import torch
    from safetensors.torch import save_file

    size = pickle.stat().st_size
    with pickle.open("rb") as file:
        is_zip = file.read(4) == ZIP_START
    torch.set_num_threads(1)
    _limit_resources(size)
    sys.addaudithook(_refuse_event)
    try:
        content = torch.load(pickle, map_location="cpu", weights_only=True, mmap=is_zip)
        tensors = _copies(content, MOST_BYTES_PER_BYTE * size)
        save_file(tensors, target, metadata={"format": "pt"})
    except Refusal:
        raise
    except Exception as error:  # damaged and malicious files make torch raise all kinds
        raise Refusal(_explanation(error)) from error


def _refuse_event(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook, which stays to the end of the process: end what reading weights does not need."""
    if event.startswith(FORBIDDEN_EVENTS):
        raise Refusal(f"tries to do something else than be read ({event})")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        raise Refusal("tries to do something else than be read (open a file to write)")


def _limit_resources(size: int) -> None:
    """Limit memory, where the system says how much is in use, computing time, and the size of files."""
    limits = {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: MOST_BYTES_PER_BYTE * size + 2**24,
        resource.RLIMIT_CORE: 0,
    }
    if (pages := Path("/proc/self/statm")).is_file():
        in_use = int(pages.read_text().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = in_use + MEMORY_PER_BYTE * size + MORE_MEMORY
    for kind, limit in limits.items():
        _, most = resource.getrlimit(kind)
        lower = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (lower, lower))


def _copies(content: Any, most_bytes: int) -> dict[str, Any]:
    """The tensors of a mapping, each with memory of its own. Raises Refusal for all that is no plain tensor."""
    import torch

    if type(content) not in (dict, OrderedDict):
        raise Refusal(f"holds a {type(content).__name__}, not a mapping from names to tensors")
    for name, tensor in content.items():
        if type(name) is not str or not name or not name.isprintable() or name == "__metadata__":
            raise Refusal(f"has an entry with the name {_shown(name)}; a tensor's name is printable text")
        if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise Refusal(f"has the entry {_shown(name)}, which is a {type(tensor).__name__} and not a tensor")
        if problem := _not_plain(tensor):
            raise Refusal(f"has the tensor {_shown(name)}, which is {problem}; only plain tensors are converted")
    if not content:
        raise Refusal("holds no tensors")
    if (total := sum(tensor.numel() * tensor.element_size() for tensor in content.values())) > most_bytes:
        raise Refusal(f"has tensors of {total} bytes, more than a file of its size can hold")
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in content.items()}


def _not_plain(tensor: Any) -> str | None:
    """What is particular about a tensor, or None."""
    import torch

    plain = (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
    if tensor.layout is not torch.strided:
        return f"not dense ({tensor.layout})"
    if tensor.is_neg():
        return "a view with another sign than what is stored"
    if tensor.is_quantized or tensor.dtype not in plain:
        return f"of type {tensor.dtype}"
    if tensor.device.type != "cpu":
        return f"without values (device {tensor.device.type})"
    return None


def _shown(name: Any) -> str:
    text = repr(name)
    return text if len(text) <= 100 else text[:100] + "…"


def _explanation(error: Exception) -> str:
    """An error of torch in one short line, without its advice to read the pickle anyway."""
    text = str(error)
    for marker in ("GLOBAL ", "unrecognized function "):
        if marker in text:
            wanted = text.split(marker, 1)[1].split("\n")[0].split(" was not ")[0].split(" whose ")[0]
            return f"asks for {wanted[:100]}, which is no part of a tensor"
    if isinstance(error, MemoryError) or "allocate memory" in text or "bad_alloc" in text:
        return "needs more memory than a file of its size may"
    if "TorchScript" in text or ".tar format" in text:
        return "is of another kind than a state_dict (TorchScript, or a tar archive)"
    lines = [line.strip() for line in text.split("Check the documentation")[0].splitlines() if line.strip()]
    return f"cannot be read as weights ({type(error).__name__}: {lines[-1][:200] if lines else 'no message'})"


def main(pickle: Path, target: Path) -> int:
    """Convert; return the exit status."""
    try:
        convert(pickle, target)
    except Refusal as refusal:
        print(refusal)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
