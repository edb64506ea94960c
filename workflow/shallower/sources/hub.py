"""Files of one pinned commit of a Hugging Face repository: fetched, verified, kept in the usual cache."""

import hashlib
import logging
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from shallower.core.errors import UserError
from shallower.core.files import atomic_write, sha256_of
from shallower.sources.hub_requests import (
    ANSWER_TIMEOUT,
    Commit,
    check_repository,
    check_revision,
    explained,
    is_filename,
    named_commit,
    refuse_absent,
    refuse_offline,
    token,
    with_retries,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubFile:
    """What the hub says of a file of a commit: its size in bytes, and its hash.

    The hash is the SHA-256 of a large file (64 digits), git's SHA-1 of the blob of a small one (40 digits).
    """

    size: int
    digest: str


def download(
    repository: str,
    revision: str,
    filenames: Iterable[str],
    repo_type: str,
    target_dir: str | Path,
) -> dict[str, Path]:
    """Copy files of one commit into a folder; sub-folders of the repository are kept.

    Every file is compared with the hub's hash of it (SHA-256 of a large file, git's SHA-1 of a small one).
    What the Hugging Face cache holds is used without asking the hub, so a finished download works offline.
    The token is taken from the environment variable HF_TOKEN only. HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and
    HF_HUB_OFFLINE have their usual meaning.

    Returns the path of each file in `target_dir`.
    Raises UserError when the repository, commit or a file is not there or not open to this user, when the hub
    cannot be reached, or when a file still differs from its hash after a second download.
    """
    commit = named_commit(repository, revision, repo_type)
    filenames = list(filenames)
    for filename in filenames:
        if not is_filename(filename):
            raise UserError(f"{commit}: {filename!r} is not the name of a file in a repository")
    found = {name: path for name in filenames if (path := _cached(commit, name))}
    missing = [name for name in filenames if name not in found]
    if missing:
        refuse_offline(commit, missing)
        present = files_of(commit)
        refuse_absent(commit, missing, present)
        for name in missing:
            found[name] = _fetch(commit, name, present[name].digest)
    return {name: _copy(found[name], Path(target_dir) / name) for name in filenames}


def list_files(repository: str, revision: str, repo_type: str = "model") -> list[str]:
    """Names of all files of one commit; offline, of those that the cache holds.

    Raises UserError as `download` does.
    """
    commit = named_commit(repository, revision, repo_type)
    if not huggingface_hub.is_offline_mode():
        return sorted(files_of(commit))
    try:
        snapshot = Path(
            huggingface_hub.snapshot_download(
                commit.repository,
                revision=commit.revision,
                repo_type=commit.repo_type,
                cache_dir=constants.HF_HUB_CACHE,
                local_files_only=True,
            )
        )
    except LocalEntryNotFoundError:
        names = []
    else:
        names = [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]
    if not names:
        refuse_offline(commit, ["files"])
    return sorted(names)


# The cache


def cached_file(repository: str, revision: str, filename: str) -> Path | None:
    """A file of one commit of a model repository in the Hugging Face cache; None where it is not there whole.

    The hub is not asked, and nothing is changed.
    """
    found = _linked(named_commit(repository, revision, "model"), filename)
    return found.path if found is not None and _agrees(found.path, found.digest) else None


def _cached(commit: Commit, filename: str) -> Path | None:
    """The file in the cache, if its content matches its hash; a damaged file is deleted."""
    if (found := _linked(commit, filename)) is None:
        return None
    if _agrees(found.path, found.digest):
        return found.path
    log.warning("%s: %s in the cache differs from its hash; deleted, it is downloaded again", commit, filename)
    _discard(found.path)
    return None


@dataclass(frozen=True)
class _Linked:
    """A file in the cache, and the hash that it should have."""

    path: Path
    digest: str


def _linked(commit: Commit, filename: str) -> _Linked | None:
    """A file that the cache has, right or damaged.

    The cache links each file to a blob that is named by its hash. Where links are not possible, the hash
    is not known without the hub, and None is returned.
    """
    found = huggingface_hub.try_to_load_from_cache(
        commit.repository,
        filename,
        revision=commit.revision,
        repo_type=commit.repo_type,
        cache_dir=constants.HF_HUB_CACHE,
    )
    if not isinstance(found, str) or not (path := Path(found)).is_symlink():
        return None
    digest = path.readlink().name
    return _Linked(path, digest) if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest) else None


def _discard(path: Path) -> None:
    """Delete a file of the cache together with the blob that its links lead to."""
    while path.is_symlink():
        link = path
        path = path.parent / path.readlink()
        link.unlink()
    path.unlink(missing_ok=True)


def _agrees(path: Path, digest: str) -> bool:
    """Whether a file has the given SHA-256 (64 digits) or git blob SHA-1 (40 digits)."""
    if len(digest) == 64:
        return sha256_of(path) == digest
    with path.open("rb") as file:
        # git hashes a blob with a header in front of its content
        sha1 = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while chunk := file.read(1 << 20):
            sha1.update(chunk)
    return sha1.hexdigest() == digest


def _copy(source: Path, target: Path) -> Path:
    """Copy a file so that a reader never sees a half of it."""
    with atomic_write(target) as neighbour:
        shutil.copyfile(source, neighbour)
    return target


# The hub


def files_of(commit: Commit) -> dict[str, HubFile]:
    """Every file of a commit, by name. Raises UserError as `download` does."""
    with explained(commit):
        info = with_retries(
            f"{commit}: list of files",
            lambda: huggingface_hub.HfApi(token=token()).repo_info(
                commit.repository,
                revision=commit.revision,
                repo_type=commit.repo_type,
                files_metadata=True,
                timeout=ANSWER_TIMEOUT,
            ),
        )
    files = {
        file.rfilename: HubFile(file.size or 0, file.lfs.sha256 if file.lfs else file.blob_id or "")
        for file in getattr(info, "siblings", None) or []
    }
    if not all(file.digest for file in files.values()):
        raise UserError(f"{commit}: {constants.ENDPOINT} does not provide file hashes; use another HF_ENDPOINT")
    return files


def newest_commit(repository: str, repo_type: str = "model") -> str:
    """The hash of the last commit on a repository's main branch, to be written into a study, which pins it.

    Raises UserError as `download` does.
    """
    commit = Commit(repository, "main", repo_type)
    if problem := check_repository(repository):
        raise UserError(f"{commit}: {problem}")
    refuse_offline(commit, ["the list of commits"])
    with explained(commit):
        info = with_retries(
            f"{commit}: last commit",
            lambda: huggingface_hub.HfApi(token=token()).repo_info(
                repository, revision=commit.revision, repo_type=repo_type, timeout=ANSWER_TIMEOUT
            ),
        )
    if not info.sha or (problem := check_revision(info.sha)):
        raise UserError(
            f"{commit}: {constants.ENDPOINT} does not say which commit is the last; use another HF_ENDPOINT"
        )
    return str(info.sha)


def pull_requests(commit: Commit) -> dict[str, str]:
    """The last commit of each pull request of a repository, by its ref (refs/pr/1), the oldest first.

    Raises UserError as `download` does.
    """
    with explained(commit):
        refs = with_retries(
            f"{commit}: list of pull requests",
            lambda: huggingface_hub.HfApi(token=token()).list_repo_refs(
                commit.repository, repo_type=commit.repo_type, include_pull_requests=True
            ),
        )
    found = {ref.ref: ref.target_commit for ref in refs.pull_requests or []}
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


def _fetch(commit: Commit, filename: str, digest: str) -> Path:
    """Download one file into the cache; one that differs from its hash is deleted and fetched once more."""
    what = f"{commit}: {filename}"
    for _ in range(2):
        with explained(commit, filename):
            path = with_retries(
                what,
                lambda: huggingface_hub.hf_hub_download(
                    commit.repository,
                    filename,
                    revision=commit.revision,
                    repo_type=commit.repo_type,
                    token=token(),
                ),
            )
        if _agrees(Path(path), digest):
            log.info("%s: fetched and verified", what)
            return Path(path)
        log.warning("%s: the download differs from the hub's hash; deleted", what)
        _discard(Path(path))
    raise UserError(
        f"{what} differs from the hub's hash {digest}, in a second download too; something between here and "
        f"{constants.ENDPOINT} alters files (a proxy?), or the hub is at fault: try later"
    )
