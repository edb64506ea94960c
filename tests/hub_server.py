"""A Hugging Face hub on 127.0.0.1 for tests: serves folders as repositories, with faults on demand.

It answers what huggingface_hub asks when it downloads: the list of a commit's files with their hashes, and
the files or ranges of their bytes, small ones after a redirect within the hub, large ones (LFS) after a redirect to
another host. Each repository has one commit on its branch main, and one for each of its pull requests; as on the hub,
a commit is found by its hash whichever of them it is on. Uploads without Xet (`HF_HUB_DISABLE_XET`) are taken by
`hub_uploads`, into repositories of their own.
"""

import hashlib
import json
import math
import re
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hub_uploads import Uploads

LFS_SUFFIXES = {".safetensors", ".bin", ".h5", ".parquet", ".model"}

ALWAYS = math.inf

# What the hub answers for a repository that does not exist (or is hidden), and for one behind terms of use.
NOT_FOUND = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Invalid username or password."}
GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this repository is restricted."}


@dataclass
class Fault:
    """What goes wrong for the first `times` requests whose path contains the pattern `path`.

    path        regular expression, such as "^/api/", "/resolve/" or "^/cdn/.*model.safetensors"
    method      only for this method; None: for any
    status      answer with this status instead, with `headers` and the text `body`
    delay       seconds to wait before the answer
    cut_after   break the connection after so many bytes of the body
    corrupt     change one byte of the body
    whole       send the whole file, whatever range of it is asked for
    """

    path: str
    times: float = 1
    method: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    delay: float = 0.0
    cut_after: int | None = None
    corrupt: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _File:
    content: bytes
    lfs: bool

    @property
    def blob_id(self) -> str:
        content = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        lines = [
            "version https://git-lfs.github.com/spec/v1",
            f"oid sha256:{self.sha256}",
            f"size {len(self.content)}",
        ]
        return ("\n".join(lines) + "\n").encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class _Commit:
    revision: str
    files: Mapping[str, _File]

    @classmethod
    def read(cls, folder: Path) -> "_Commit":
        files = {
            path.relative_to(folder).as_posix(): _File(path.read_bytes(), path.suffix in LFS_SUFFIXES)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        listing = "\n".join(f"{file.blob_id} {name}" for name, file in files.items())
        return cls(hashlib.sha1(listing.encode()).hexdigest(), files)


@dataclass(frozen=True)
class _Repository:
    """Commits by the names that lead to them: main, refs/pr/1, refs/pr/2, ..."""

    refs: Mapping[str, _Commit]

    def commit(self, revision: str) -> _Commit | None:
        """The commit that a name or a hash means."""
        hashes = {commit.revision: commit for commit in self.refs.values()}
        return self.refs.get(revision) or hashes.get(revision)


class HubServer:
    """Serves repositories between `with` and its end; `url` is the value for HF_ENDPOINT.

    repositories   (repo_type, repo_id) -> folder, for example ("model", "someone/bert") -> Path(...)
    pull_requests  the same keys -> the folders that the repository's pull requests 1, 2, ... would make of it
    faults         see Fault; the list may be changed while the server runs
    token          if given, files (not their list) are only for requests that carry this token
    uploads        what was uploaded, and who may
    """

    def __init__(
        self,
        repositories: Mapping[tuple[str, str], str | Path],
        faults: Iterable[Fault] = (),
        token: str | None = None,
        pull_requests: Mapping[tuple[str, str], Sequence[str | Path]] | None = None,
    ) -> None:
        self.repositories = {}
        for key, folder in repositories.items():
            refs = {"main": _Commit.read(Path(folder))}
            for number, change in enumerate((pull_requests or {}).get(key, ()), start=1):
                refs[f"refs/pr/{number}"] = _Commit.read(Path(change))
            self.repositories[key] = _Repository(refs)
        self.faults = list(faults)
        self.token = token
        self.uploads = Uploads()
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        # Two ports, so that the store of large files is another host to the client.
        self._servers = [_Server(self) for _ in range(2)]
        self.url, self.store_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> "HubServer":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def revision(self, repo_type: str, repo_id: str, ref: str = "main") -> str:
        """The commit of a branch or pull request of a repository: 40 hexadecimal digits."""
        return self.repositories[repo_type, repo_id].refs[ref].revision

    def connect(self, monkeypatch: Any, cache_dir: str | Path) -> None:
        """Make huggingface_hub in this process use this server and an empty cache, and no token.

        It reads its environment when it is imported, so both the environment and its constants are set.
        """
        from huggingface_hub import constants

        for name, value in self.environment(cache_dir).items():
            monkeypatch.setenv(name, value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        template = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache_dir))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def environment(self, cache_dir: str | Path) -> dict[str, str]:
        """Environment variables that make a new process use this server and this cache."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_CACHE": str(cache_dir),
            "HF_HOME": str(cache_dir),
            "NO_PROXY": "*",
        }

    def asked(self, pattern: str) -> list[Request]:
        """The requests whose path contains a regular expression, in their order."""
        return [request for request in self.requests if re.search(pattern, request.path)]

    def take_fault(self, request: Request) -> Fault | None:
        """Note a request; return the fault that it meets, if any."""
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                fits = re.search(fault.path, request.path) and fault.method in (None, request.method)
                if fits and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests; nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = hub.take_fault(Request(self.command, unquote(self.path), headers)) or Fault("", 0)
        if fault.delay:
            hub.closing.wait(fault.delay)
        if fault.status is not None:
            self._answer(fault.status, fault.body.encode(), fault.headers)
            return
        status, content, answer_headers = self._route(hub, unquote(urlsplit(self.path).path))
        if fault.corrupt and content:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        self._answer(status, content, answer_headers, fault.cut_after, fault.whole)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if fault := hub.take_fault(Request(self.command, unquote(self.path), headers)):
            self._answer(fault.status or 500, fault.body.encode(), fault.headers)
            return
        status, content, answer_headers = hub.uploads.answer(self.path, body, headers, hub.url, hub.store_url)
        self._answer(status, content, answer_headers)

    do_PUT = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""

    def _answer(
        self,
        status: int,
        content: bytes,
        headers: Mapping[str, str],
        cut_after: int | None = None,
        whole: bool = False,
    ) -> None:
        length = len(content)
        asked = "" if whole or status != 200 else self.headers.get("Range", "")
        if requested := re.fullmatch(r"bytes=(\d+)-(\d*)", asked):
            start, end = int(requested[1]), min(int(requested[2] or length - 1), length - 1)
            headers = {**headers, "Content-Range": f"bytes {start}-{end}/{length}"}
            status, content = 206, content[start : end + 1]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[:cut_after])
        if cut_after is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _route(self, hub: HubServer, path: str) -> tuple[int, bytes, dict[str, str]]:
        if (match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path)) and match[1] in hub.uploads.repositories:
            return hub.uploads.info(match[1])
        if match := re.fullmatch(r"/cdn/([0-9a-f]{64})/.*", path):
            commits = (commit for repository in hub.repositories.values() for commit in repository.refs.values())
            files = (file for commit in commits for file in commit.files.values())
            content = next(file.content for file in files if file.lfs and file.sha256 == match[1])
            return 200, content, {"ETag": f'"{match[1]}"'}
        if match := re.fullmatch(r"/api/(model|dataset)s/(.+)/refs", path):
            return self._refs(hub, match[1], match[2])
        if match := re.fullmatch(r"/api/(model|dataset)s/(.+?)/revision/(.+)", path):
            return self._info(hub, match[1], match[2], match[3])
        if match := re.fullmatch(r"/api/resolve-cache/(model|dataset)s/(.+?)/([0-9a-f]{40})/(.+)", path):
            return self._file(hub, *match.groups(), redirected=True)
        if match := re.fullmatch(r"/(datasets/)?(.+?)/resolve/(refs/pr/\d+|[^/]+)/(.+)", path):
            repo_type = "dataset" if match[1] else "model"
            return self._file(hub, repo_type, match[2], match[3], match[4], redirected=False)
        return 404, b"{}", {}

    def _refs(self, hub: HubServer, repo_type: str, repo_id: str) -> tuple[int, bytes, dict[str, str]]:
        if (repository := hub.repositories.get((repo_type, repo_id))) is None:
            return 401, b'{"error": "Invalid username or password."}', NOT_FOUND
        found: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
        for name, commit in repository.refs.items():
            kind, ref = ("branches", f"refs/heads/{name}") if name == "main" else ("pullRequests", name)
            found[kind].append({"name": name.removeprefix("refs/pr/"), "ref": ref, "targetCommit": commit.revision})
        return 200, json.dumps(found).encode(), {"Content-Type": "application/json"}

    def _info(self, hub: HubServer, repo_type: str, repo_id: str, revision: str) -> tuple[int, bytes, dict[str, str]]:
        repository = hub.repositories.get((repo_type, repo_id))
        if repository is None:
            return 401, b'{"error": "Invalid username or password."}', NOT_FOUND
        if (commit := repository.commit(revision)) is None:
            return (
                404,
                b"{}",
                {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"},
            )
        siblings = [
            {"rfilename": name, "size": len(file.content), "blobId": file.blob_id}
            | (
                {"lfs": {"sha256": file.sha256, "size": len(file.content), "pointerSize": len(file.pointer)}}
                if file.lfs
                else {}
            )
            for name, file in commit.files.items()
        ]
        info = {
            "id": repo_id,
            "sha": commit.revision,
            "private": False,
            "gated": bool(hub.token),
            "siblings": siblings,
        }
        return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}

    def _file(
        self, hub: HubServer, repo_type: str, repo_id: str, revision: str, name: str, redirected: bool
    ) -> tuple[int, bytes, dict[str, str]]:
        repository = hub.repositories.get((repo_type, repo_id))
        if repository is None:
            return 401, b"Invalid username or password.", NOT_FOUND
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return (403 if self.headers.get("Authorization") else 401), b"", GATED
        if (commit := repository.commit(revision)) is None:
            return (
                404,
                b"",
                {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"},
            )
        headers = {"X-Repo-Commit": commit.revision}
        if (file := commit.files.get(name)) is None:
            return (
                404,
                b"",
                {**headers, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"},
            )
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.content))}
        if file.lfs:
            location = f"{hub.store_url}/cdn/{file.sha256}/{Path(name).name}?signature=secret"
            return 302, b"", {**headers, "Location": location}
        headers["ETag"] = f'"{file.etag}"'
        if not redirected:
            location = f"/api/resolve-cache/{repo_type}s/{repo_id}/{commit.revision}/{name}"
            return 307, b"", {**headers, "Location": location}
        return 200, file.content, headers
