"""Requests to a Hugging Face hub: which commit is meant, the token, attempts, and errors in words."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # base class of the errors of the HTTP library that huggingface_hub uses
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers, validate_repo_id

from shallower.core.errors import UserError
from shallower.core.locks import NO_LOCKS

log = logging.getLogger(__name__)
# The HTTP library logs each request with its address, and those of large files carry signatures.
logging.getLogger("httpx2").setLevel(logging.WARNING)

Result = TypeVar("Result")

# Seconds before each further attempt when the hub answers with a transient error, or not at all.
WAITS = (1, 2, 4, 8, 16)
# The hub counts requests in windows of five minutes, so a longer wait is never needed.
LONGEST_WAIT = 310
# Seconds without an answer after which a question about a repository counts as lost.
ANSWER_TIMEOUT = 20
NO_HUB = "{} is not a Hugging Face hub endpoint; check HF_ENDPOINT and proxies"


class HubUnreachable(UserError):
    """The hub does not answer at all, or refuses to answer more requests."""


@dataclass(frozen=True)
class Commit:
    """One commit of one repository; `repo_type` is "model" or "dataset"."""

    repository: str
    revision: str
    repo_type: str

    def __str__(self) -> str:
        return f"Hugging Face {self.repo_type} {self.repository}"

    @property
    def page(self) -> str:
        prefix = constants.REPO_TYPES_URL_PREFIXES.get(self.repo_type, "")
        return f"{constants.ENDPOINT}/{prefix}{self.repository}"


def check_revision(revision: str) -> str | None:
    """What is wrong with a revision, or None: only a full commit hash always names the same files."""
    if re.fullmatch(r"[0-9a-f]{40}", str(revision)):
        return None
    return (
        f"revision {revision!r} is not a commit hash of 40 hexadecimal digits (a branch, tag or pull request "
        "can move); copy the hash from the repository's page, under Files and versions, History, or from the "
        "commits of the pull request"
    )


def check_repository(repository: str, filenames: Iterable[str] = ()) -> str | None:
    """What is wrong with the name of a repository or of files in it, or None; needs no connection."""
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        return f"{repository!r} is not a repository's name ({error})"
    outside = [name for name in filenames if not is_filename(name)]
    return f"{outside[0]!r} is not the name of a file in a repository" if outside else None


def named_commit(repository: str, revision: str, repo_type: str) -> Commit:
    commit = Commit(repository, revision, repo_type)
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(f"{commit}: not a repository's name ({error})") from error
    if problem := check_revision(revision):
        raise UserError(f"{commit}: {problem}")
    return commit


def is_filename(filename: str) -> bool:
    path = PurePosixPath(filename)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and filename.isprintable()


# Requests


def token() -> str | bool:
    """The token of the environment; False keeps huggingface_hub from looking elsewhere for one."""
    return os.environ.get("HF_TOKEN", "").strip() or False


def with_retries(what: str, action: Callable[[], Result]) -> Result:
    """Run a request to the hub; transient errors are logged and it is tried again."""
    for wait in WAITS:
        try:
            return action()
        except (HTTPError, OSError, RuntimeError) as error:
            if not _is_transient(error):
                raise
            seconds = max(wait, min(_requested_wait(error), LONGEST_WAIT))
            log.warning("%s: %s; next attempt in %s s", what, _brief(error), seconds)
            time.sleep(seconds)
    return action()


def _is_transient(error: Exception) -> bool:
    """Whether an error is transient, so that a second attempt makes sense.

    huggingface_hub resumes broken transfers and repeats its question about a file by itself; what it gives up
    on is a LocalEntryNotFoundError. It does not repeat other questions, nor a transfer that is answered by an
    error of the server, comes out too short, or is reset. Its Xet client raises RuntimeError or OSError.
    """
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 425, 429) or error.response.status_code >= 500
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError | FileMetadataError):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return not isinstance(error, OSError) or error.errno is None


def _requested_wait(error: Exception) -> int:
    """Seconds that the hub asks to wait; 0 if it does not say."""
    if not isinstance(error, HfHubHTTPError):
        return 0
    limit = parse_ratelimit_headers(error.response.headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds + 1
    retry_after = error.response.headers.get("Retry-After", "").strip()
    return int(retry_after) if retry_after.isdigit() else 0


def _brief(error: BaseException) -> str:
    """An error in one line, without addresses: those of large files carry signatures."""
    if isinstance(error, HfHubHTTPError):
        said = (error.server_message or "").strip().splitlines()
        return f"HTTP status {error.response.status_code}" + (f" ({said[0]})" if said else "")
    lines = re.sub(r"https?://\S+", "…", str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


# Messages


def refuse_offline(commit: Commit, missing: list[str]) -> None:
    if huggingface_hub.is_offline_mode():
        raise UserError(
            f"{commit}: {', '.join(missing)} of commit {commit.revision} not in the cache "
            f"{constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it, or run "
            "this step on a machine with internet and bring its cache or resources folder here"
        )


def refuse_absent(commit: Commit, wanted: list[str], present: Iterable[str]) -> None:
    """Names the files that a commit does not have, and those it has in the same folders."""
    absent = [name for name in wanted if name not in present]
    if absent:
        folders = {PurePosixPath(name).parent for name in absent}
        near = sorted(name for name in present if PurePosixPath(name).parent in folders) or sorted(present)
        shown = ", ".join(near[:20]) + (", …" if len(near) > 20 else "")
        raise UserError(
            f"{commit} has no file {', '.join(absent)} at commit {commit.revision}; it has: {shown or 'none'}"
        )


@contextmanager
def explained(commit: Commit, filename: str | None = None) -> Iterator[None]:
    """Turn the errors of huggingface_hub into UserErrors that name the cause and a fix."""
    try:
        yield
    except (HTTPError, OSError, RuntimeError) as error:
        # LocalEntryNotFoundError only says that there is no answer; its cause says why.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
        kind = HubUnreachable if _is_unreachable(cause) else UserError
        raise kind(_explanation(commit, filename, cause)) from error
    except ValueError as error:
        # An answer that is not JSON: a log-in page of a network, for one.
        raise HubUnreachable(f"{commit}: {NO_HUB.format(constants.ENDPOINT)}") from error


def _is_unreachable(error: BaseException) -> bool:
    """Whether further questions, about other repositories as well, are in vain."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code == 429
    return isinstance(error, Exception) and _is_transient(error)


def _explanation(commit: Commit, filename: str | None, error: BaseException) -> str:
    what = f"{commit}: {filename}" if filename else str(commit)
    has_token = bool(token())
    if isinstance(error, GatedRepoError):
        fix = "with the account of HF_TOKEN" if has_token else "and set HF_TOKEN to a read token of your account"
        return f"{commit} is gated: accept its terms at {commit.page} {fix}"
    if isinstance(error, RepositoryNotFoundError):
        doubt = "not open to the token in HF_TOKEN" if has_token else "private (then set HF_TOKEN)"
        return f"{commit} does not exist, or is {doubt}; check the name at {commit.page}"
    if isinstance(error, RevisionNotFoundError):
        where = f"{commit.page}/commits/main, or of a pull request {commit.page}/discussions"
        return f"{commit} has no commit {commit.revision}; see {where}"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{what}: no such file at commit {commit.revision}; see {commit.page}/tree/{commit.revision}"
    if isinstance(error, DisabledRepoError):
        return f"{commit} has been disabled by the hub; see {commit.page}"
    if isinstance(error, FileMetadataError):
        return f"{what}: {NO_HUB.format(constants.ENDPOINT)}"
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        fix = "check the token in HF_TOKEN" if has_token else "it may need a token in HF_TOKEN"
        return f"{what}: refused with {_brief(error)}; {fix}"
    if isinstance(error, HfHubHTTPError) and error.response.status_code == 429:
        fix = "run again later" if has_token else "run again later, or set HF_TOKEN, which raises the limit"
        return f"{what}: the hub refuses more requests for now ({_brief(error)}); {fix}: finished files are kept"
    if isinstance(error, HfHubHTTPError) and not _is_transient(error):
        return f"{what}: the hub answered {_brief(error)}"
    if isinstance(error, OSError) and not isinstance(error, HfHubHTTPError) and not _is_transient(error):
        cache = constants.HF_HUB_CACHE
        if error.errno in NO_LOCKS:
            return (
                f"{what}: the cache {cache} is on a file system without locks; set HF_HOME to a folder on another one"
            )
        return f"{what}: cannot write to the cache {cache} ({error.strerror}); free space or set HF_HOME"
    return (
        f"{what}: no success after {len(WAITS) + 1} attempts ({_brief(error)}); check the connection to "
        f"{constants.ENDPOINT} (proxy, firewall; HF_HUB_DISABLE_XET=1 for plain HTTP) and run again: "
        "finished files are kept"
    )
