"""Distributions of packages: found as pip finds them, compared with their hash, and read without running anything."""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from package_archives import tar_bytes
from shallower.core.errors import UserError
from shallower.core.files import sha256_of
from shallower.sources import packages
from shallower.sources.packages import cache_folder, distribution_file, extract_file

ROOT = Path(__file__).parents[3]
SDIST = "some_data-1.0.tar.gz"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of distributions, which is all that pip may look at; setup.py leaves a trace where it is run."""
    folder = tmp_path / "index"
    folder.mkdir()
    trace = f"open({str(tmp_path / 'was-run')!r}, 'w')".encode()
    (folder / SDIST).write_bytes(tar_bytes({"some_data-1.0/setup.py": trace, "some_data-1.0/data.tsv": b"content"}))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SHALLOWER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return folder


# --- distributions -------------------------------------------------------------------------------------------------


def test_a_source_archive_is_downloaded_once_and_never_run(folder: Path, tmp_path: Path) -> None:
    digest = sha256_of(folder / SDIST)
    path = distribution_file("some-data", "1.0", digest.upper())
    assert path == cache_folder() / digest
    assert path.read_bytes() == (folder / SDIST).read_bytes()
    (folder / SDIST).unlink()
    assert distribution_file("some-data", "1.0", digest) == path, "from the cache"
    assert not (tmp_path / "was-run").exists()


def test_a_damaged_file_in_the_cache_is_downloaded_again(folder: Path) -> None:
    digest = sha256_of(folder / SDIST)
    distribution_file("some-data", "1.0", digest).write_bytes(b"damaged")
    assert sha256_of(distribution_file("some-data", "1.0", digest)) == digest


def test_a_file_with_another_hash_is_not_kept(folder: Path) -> None:
    with pytest.raises(UserError, match=rf"{SDIST} has SHA-256 [0-9a-f]{{64}}, the study says sha256: 000"):
        distribution_file("some-data", "1.0", "0" * 64)
    assert list(cache_folder().iterdir()) == []


def test_what_is_not_found_is_said_with_where_it_was_looked_for(folder: Path) -> None:
    with pytest.raises(UserError, match=r"some-data 2\.0: no such distribution found at: file://.*/index; check name"):
        distribution_file("some-data", "2.0", "0" * 64)
    with pytest.raises(UserError, match=r"some-data-more 1\.0: no such"):
        distribution_file("some-data-more", "1.0", "0" * 64)


class Index:
    """A package index on this machine that wants a name and a password; `faults` are answered first.

    With `moved_to`, its files are at another address.
    """

    def __init__(self, files: Path) -> None:
        self.asked: list[str] = []
        self.faults: list[int] = []
        self.moved_to = ""
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                if self.headers.get("Authorization") != "Basic bWU6cEBzcw==":
                    return self.send_error(401)
                if index.moved_to and self.path.startswith("/files/"):
                    self.send_response(302)
                    self.send_header("Location", index.moved_to + self.path)
                    return self.end_headers()
                if index.faults:
                    return self.send_error(index.faults.pop())
                path = files / self.path.rpartition("/")[2]
                if self.path == "/simple/some-data/":
                    names = sorted(path.name for path in files.iterdir())
                    marks = {name: f"#sha256={sha256_of(files / name)}" for name in names}
                    content = "".join(
                        f'<a href="../../files/{name}{marks[name]}">{name}</a>' for name in names
                    ).encode()
                elif self.path.startswith("/files/") and path.is_file():
                    content = path.read_bytes()
                else:
                    return self.send_error(404)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)
                return None

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://me:p%40ss@127.0.0.1:{self.server.server_port}/simple"


@pytest.fixture
def index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    (folder / "some_data-1.0-py3-none-any.whl").write_bytes(b"a wheel")
    (folder / "some_data-0.9.tar.gz").write_bytes(b"older")
    index = Index(folder)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield index
    index.server.shutdown()
    index.server.server_close()


@pytest.mark.parametrize("name", [SDIST, "some_data-1.0-py3-none-any.whl"])
def test_the_file_with_the_hash_is_taken_from_the_index_of_pip(index: Index, folder: Path, name: str) -> None:
    assert distribution_file("Some.Data", "1.0", sha256_of(folder / name)).read_bytes() == (folder / name).read_bytes()
    assert index.asked == ["/simple/some-data/", f"/files/{name}"]


def test_a_hash_that_the_index_does_not_have(index: Index) -> None:
    with pytest.raises(
        UserError, match=rf"no file has sha256 {'0' * 64}; the package index has .*{SDIST} \([0-9a-f]{{64}}\)"
    ):
        distribution_file("some-data", "1.0", "0" * 64)
    assert not [path for path in index.asked if path.startswith("/files/")]


def test_an_error_that_may_pass_is_tried_again(index: Index, folder: Path) -> None:
    index.faults = [503, 503]
    distribution_file("some-data", "1.0", sha256_of(folder / SDIST))
    index.faults = [500] * 9
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:\d+/simple/some-data/: HTTP status 500") as caught:
        distribution_file("some-data", "1.0", "0" * 64)
    assert "p%40ss" not in str(caught.value)


def test_a_redirect_does_not_take_the_password_along(index: Index, folder: Path) -> None:
    headers: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()
            self.wfile.write((folder / SDIST).read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        index.moved_to = f"http://127.0.0.1:{elsewhere.server_port}"
        distribution_file("some-data", "1.0", sha256_of(folder / SDIST))
        elsewhere.shutdown()
    assert headers == [None]


def test_a_file_beyond_the_limit_is_not_read_to_its_end(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "MAX_FILE_BYTES", 10)
    with pytest.raises(UserError, match="is larger than"):
        distribution_file("some-data", "1.0", sha256_of(folder / SDIST))


def test_set_up_fetches_what_a_study_needs(folder: Path, tmp_path: Path) -> None:
    digest = sha256_of(folder / SDIST)
    study = tmp_path / "study.yaml"
    study.write_text(
        "tasks:\n- {name: a, source: glue, subset: rte}\n"
        f"- {{name: b, source: package, package: some-data, version: '1.0', sha256: {digest}}}\n"
    )
    command = [sys.executable, "-m", "shallower.sources.packages", str(study)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (cache_folder() / digest).is_file()


@pytest.mark.parametrize(
    "content",
    ["tasks: 1", "- a", "", "tasks: [1, {source: package}]", "tasks: [{source: package, sha256: 1}]"],
)
def test_set_up_leaves_a_malformed_study_to_its_checks(content: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(content)
    packages.main(argparse.Namespace(study=tmp_path / "study.yaml"))


def test_set_up_reports_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    for spoil in (lambda: study.write_text("tasks: ["), lambda: study.write_bytes(b"\xff"), study.unlink):
        spoil()
        with pytest.raises(UserError, match=r"study\.yaml: not a YAML file"):
            packages.main(argparse.Namespace(study=study))


# --- archives ------------------------------------------------------------------------------------------------------


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_archives_on_the_way_count_as_folders(tmp_path: Path) -> None:
    inner = zip_bytes({"folder/data.tsv": b"found", "data.tsv": b"another"})
    middle = tar_bytes({"./a/inner.zip": inner})
    (tmp_path / "outer").write_bytes(zip_bytes({"package/middle.tar.gz": middle, "folder/data.tsv": b"another"}))
    extract_file(tmp_path / "outer", "package/middle.tar.gz/a/inner.zip/folder/data.tsv", tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_bytes() == b"found"


def test_names_in_archives_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(tar_bytes({"../outside": b"bad", "data/../../outside": b"bad", "data": b"good"}))
    extract_file(tmp_path / "archive", "data", tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "deep"]
    for path in ("../outside", "/data", ""):
        with pytest.raises(UserError, match="must name a file inside the package"):
            extract_file(tmp_path / "archive", path, tmp_path / "out")


def test_links_and_devices_are_not_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w") as archive:
        for name, kind in (("symbolic", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    for name in ("symbolic", "hard", "device"):
        with pytest.raises(UserError, match=f"has no file {name}; it has no files"):
            extract_file(tmp_path / "archive", name, tmp_path / "out")


def test_a_file_that_unpacks_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_FILE_BYTES", 1 << 20)
    for make in (tar_bytes, zip_bytes):
        (tmp_path / "archive").write_bytes(make({"data": bytes(3 << 20)}))
        with pytest.raises(UserError, match="data: is larger than 1 MiB"):
            extract_file(tmp_path / "archive", "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_archives_are_named_as_such(tmp_path: Path) -> None:
    whole = tar_bytes({"data": os.urandom(5000)})
    for content in (b"", b"no archive", whole[:2000], zip_bytes({"data": os.urandom(5000)})[:-10]):
        (tmp_path / "archive").write_bytes(content)
        with pytest.raises(UserError, match="cannot be unpacked on the way to data"):
            extract_file(tmp_path / "archive", "data", tmp_path / "out")
