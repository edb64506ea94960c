"""The part of a hub on 127.0.0.1 that takes uploads: repositories that are made, and commits with large files (LFS)."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

Answer = tuple[int, bytes, dict[str, str]]
# Larger files, and those with these ends, are stored apart (LFS).
LARGE = (".safetensors", ".onnx")
LARGE_BYTES = 10_000_000


@dataclass
class Uploaded:
    """A repository: whether it is private, its files, and the messages of its commits."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Uploads:
    """The repositories that are there for uploads, by owner/name.

    token      the one that is accepted
    owner      whose repositories it may write
    """

    token: str = "hf_secret"
    owner: str = "me"
    repositories: dict[str, Uploaded] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)

    def info(self, repository: str) -> Answer:
        """What the hub says of a repository."""
        found = self.repositories[repository]
        siblings = [{"rfilename": name} for name in found.files]
        return _json({"id": repository, "sha": "a" * 40, "private": found.private, "siblings": siblings})

    def answer(self, path: str, body: bytes, headers: dict[str, str], url: str, store_url: str) -> Answer:
        """The answer to a POST or PUT."""
        route = unquote(urlsplit(path).path)
        if match := re.fullmatch(r"/store/([0-9a-f]{64})", route):
            assert hashlib.sha256(body).hexdigest() == match[1]
            assert "authorization" not in headers, "the store of large files has addresses that are signed"
            self.store[match[1]] = body
            return _json({})
        if route == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if headers.get("authorization") != f"Bearer {self.token}":
            return _refusal(401, "Invalid user token.")
        if route == "/api/repos/create":
            return self._create(json.loads(body), url)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", route):
            return self._preupload(json.loads(body))
        if match := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", route):
            return self._batch(json.loads(body), store_url)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", route):
            return self._commit(match[1], body, url)
        return 404, b"{}", {}

    def _create(self, asked: dict[str, Any], url: str) -> Answer:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.repositories:
            return _json({"error": "You already created this model repo", "url": f"{url}/{name}"}, 409)
        if asked["organization"] != self.owner:
            message = f'You don\'t have the rights to create a model under the namespace "{asked["organization"]}"'
            return _refusal(403, message)
        self.repositories[name] = Uploaded(private=asked.get("visibility") == "private")
        return _json({"url": f"{url}/{name}"})

    def _preupload(self, asked: dict[str, Any]) -> Answer:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) or file["size"] > LARGE_BYTES else "regular",
                "shouldIgnore": False,
            }
            for file in asked["files"]
        ]
        return _json({"files": files})

    def _batch(self, asked: dict[str, Any], store_url: str) -> Answer:
        objects = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {"upload": {"href": f"{store_url}/store/{one['oid']}?signature=signed"}},
            }
            for one in asked["objects"]
        ]
        return _json({"transfer": "basic", "objects": objects})

    def _commit(self, repository: str, body: bytes, url: str) -> Answer:
        found = self.repositories[repository]
        for line in body.decode().splitlines():
            change = json.loads(line)
            value = change["value"]
            match change["key"]:
                case "header":
                    found.commits.append(value["summary"])
                case "file":
                    found.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    found.files[value["path"]] = self.store[value["oid"]]
                case "deletedFile":
                    del found.files[value["path"]]
        return _json({"commitUrl": f"{url}/{repository}/commit/{'b' * 40}", "commitOid": "b" * 40})


def _json(content: dict[str, Any], status: int = 200) -> Answer:
    return status, json.dumps(content).encode(), {"Content-Type": "application/json"}


def _refusal(status: int, message: str) -> Answer:
    return status, json.dumps({"error": message}).encode(), {"X-Error-Message": message}
