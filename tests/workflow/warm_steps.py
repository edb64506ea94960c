"""Start the steps of a study from a process that has their packages imported: 0.1 s each instead of 1 to 10 s.

For studies that tests need finished, whatever it was that ran them. Run as a script, this is the server: it forks a
process for each step that the `python` of `warm_python` asks for. Nothing of the project is imported here, so that each
step takes the code of the folder that it runs in.
"""

import importlib
import json
import os
import runpy
import shlex
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGES = [
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.xlnet.modeling_xlnet",
    "transformers.models.distilbert.modeling_distilbert",
    "tokenizers",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "altair",
    "datasets",
    "evaluate",
    "sklearn.linear_model",
    "sklearn.metrics",
    "scipy.stats",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "jinja2",
    "pydantic",
]
SECONDS_TO_START = 120

# Asks the server for a step, and ends as the step ends. It imports little: its start is what a step's start costs.
CLIENT = """
import os, socket, sys, json
real, address, *arguments = sys.argv[1:]
if not arguments or os.path.basename(os.path.dirname(arguments[0])) != "scripts":
    os.execv(real, [real, *arguments])
connection = socket.socket(socket.AF_UNIX)
connection.connect(address)
socket.send_fds(connection, [b"+"], [0, 1, 2])
step = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
connection.sendall(json.dumps(step).encode() + b"\\n")
# A step that was killed has no status.
sys.exit(int(connection.makefile().readline() or 137))
"""


@contextmanager
def warm_python() -> Iterator[dict[str, str]]:
    """Environment for snakemake in which steps start warm; the server ends with the context."""
    # Names of sockets are short: most temporary folders of tests are too deep.
    with TemporaryDirectory(prefix="steps-", dir="/tmp") as folder:
        yield from _served(Path(folder) / "client.py", Path(folder) / "socket")


def _served(client: Path, address: Path) -> Iterator[dict[str, str]]:
    client.write_text(CLIENT, encoding="utf-8")
    command = shlex.join([sys.executable, "-ISE", str(client), sys.executable, str(address)])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, __file__, str(address)], env=environment) as server:
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not address.exists():
                assert server.poll() is None and time.monotonic() < deadline, "the server of steps does not start"
                time.sleep(0.05)
            # A function of bash, since steps find the interpreter of snakemake first.
            yield {"BASH_FUNC_python%%": f'() {{ {command} "$@"; }}'}
        finally:
            server.terminate()


class Step(socketserver.BaseRequestHandler):
    """A step in the process that was forked for it."""

    def handle(self) -> None:
        _, outputs, _, _ = socket.recv_fds(self.request, 1, 3)
        for number, descriptor in enumerate(outputs):
            os.dup2(descriptor, number)
        step = json.loads(self.request.makefile().readline())
        os.chdir(step["folder"])
        os.environ.clear()
        os.environ.update(step["environment"])
        script = step["arguments"][0]
        sys.argv = step["arguments"]
        sys.path[0] = str(Path(script).resolve().parent)
        sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        status = 1
        try:
            runpy.run_path(script, run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1 if end.code else 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        self.request.sendall(f"{status}\n".encode())
        os._exit(status)


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    max_children = 100


if __name__ == "__main__":
    for package in PACKAGES:
        importlib.import_module(package)
    # A name that appears only once the server answers.
    hidden = Path(sys.argv[1] + ".new")
    with Server(str(hidden), Step) as server:
        hidden.rename(sys.argv[1])
        server.serve_forever()
