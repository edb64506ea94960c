"""Upload a delivered folder to a private repository on the Hugging Face hub, in one commit.

The token is the user's own, which huggingface_hub finds in the environment or where `hf auth login` keeps it; it is
never read here, only whether there is one.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from shallower.core.errors import UserError
from shallower.core.variants import ONNX_DATA
from shallower.core.wording import counted, megabytes
from shallower.delivery.check import check_files, read_manifest
from shallower.delivery.description import RUNTIMES
from shallower.models.folder import CONFIG, MANIFEST, WEIGHTS
from shallower.models.sentence_embedding import EMBEDDING_FILES
from shallower.sources.hub_requests import check_repository

LOG_IN = (
    "log in with 'hf auth login', or set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)"
)


@dataclass(frozen=True)
class Upload:
    """What goes where: the files of a checked folder with their sizes in bytes, and the repository owner/name."""

    folder: Path
    repository: str
    sizes: dict[str, int]

    @property
    def page(self) -> str:
        """The address of the repository."""
        return f"{constants.ENDPOINT}/{self.repository}"

    def lines(self) -> Iterator[str]:
        """What will be uploaded, for people."""
        width = max(map(len, self.sizes))
        for name, size in self.sizes.items():
            yield f"  {name:{width}}  {size:>13,} bytes"
        yield f"{counted(len(self.sizes), 'file')} of {self.folder}, {megabytes(sum(self.sizes.values()))} in all"
        yield f"to {self.page}, a private repository, which is made if it is not there"


def plan_upload(folder: str | Path, repository: str) -> Upload:
    """What an upload would do; asks nobody.

    Raises UserError when the folder is not as it was delivered, or when the repository is not named owner/name.
    """
    folder = Path(folder)
    if "/" not in repository or (problem := check_repository(repository)):
        reason = problem if "/" in repository else f"{repository!r} names no owner"
        raise UserError(f"{reason}; name the repository as REPOSITORY=owner/name")
    names = [*sorted(check_files(folder)), MANIFEST]
    if read_manifest(folder)["recommended"] is None:
        raise UserError(f"{folder}: nothing is delivered there, as its README.md says; name another with DELIVERED=")
    return Upload(folder, repository, {name: (folder / name).stat().st_size for name in names})


def upload(planned: Upload) -> str:
    """Upload the files, and return the address of the commit.

    Files that an earlier delivery had, and this one does not, are deleted there; others stay. Raises
    UserError when there is no token, when it does not suffice, when the repository is public or has a model that was
    not delivered, and when the hub cannot be reached or refuses.
    """
    if get_token() is None:
        raise UserError(f"no token to upload with; {LOG_IN}")
    api = HfApi()
    with _explained(planned):
        api.create_repo(planned.repository, private=True, exist_ok=True)
        found = api.model_info(planned.repository)
        if found.private is not True:
            raise UserError(
                f"{planned.page} is public, and nothing was uploaded; make it private on its page of settings, or name "
                "another repository"
            )
        present = {file.rfilename for file in found.siblings or ()}
        if MANIFEST not in present and (others := sorted(present & {CONFIG, WEIGHTS})):
            raise UserError(
                f"{planned.page} has another model ({', '.join(others)} without the {MANIFEST} of a delivered one), so "
                "nothing was uploaded; name another repository, or remove that model from it"
            )
        of_folders = {form.model + suffix for form in RUNTIMES.values() for suffix in ("", ONNX_DATA)}
        of_folders |= {*EMBEDDING_FILES}
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationDelete(name) for name in sorted(present & of_folders - set(planned.sizes))
        ]
        operations += [CommitOperationAdd(name, str(planned.folder / name)) for name in planned.sizes]
        commit = api.create_commit(planned.repository, operations, commit_message=_message(planned.folder))
    return str(commit.commit_url)


def _message(folder: Path) -> str:
    manifest = read_manifest(folder)
    return f"{manifest['model']} for {manifest['task']}, {manifest['arm']}, seed {manifest['seed']}"


@contextmanager
def _explained(planned: Upload) -> Iterator[None]:
    """Errors of the hub become UserErrors in one line, with a remedy."""
    try:
        yield
    except (HTTPError, OfflineModeIsEnabled, RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{planned.page}: {_explanation(planned, _causes(error))}") from error


def _causes(error: BaseException) -> list[BaseException]:
    """An error and those behind it: the upload of a large file wraps what it raises."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return causes


def _explanation(planned: Upload, causes: Sequence[BaseException]) -> str:
    answered = next((cause for cause in causes if isinstance(cause, HfHubHTTPError)), None)
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return "HF_HUB_OFFLINE is set; unset it and run again"
    if answered is None:
        if isinstance(causes[0], ValueError) and "README.md" in str(causes[0]):
            return f"the hub refuses the card ({_line(causes[0])}); please report it"
        return (
            f"the upload did not succeed ({_line(causes[-1])}); check the connection to {constants.ENDPOINT} "
            "(proxy, firewall) and run again"
        )
    status = answered.response.status_code
    said = _line(answered.server_message or f"HTTP status {status}")
    if not str(answered.response.url).startswith(f"{constants.ENDPOINT}/"):
        # Addresses there are signed for minutes only, and say nothing of the token.
        return f"the store of large files answered with status {status} ({said}); run again"
    if status == 403:
        return f"the token may not write there ({said}); use one with the right to, or a repository of your own"
    if status == 401 and not isinstance(answered, RepositoryNotFoundError):
        return f"the token is not accepted ({said}); {LOG_IN}"
    if isinstance(answered, RepositoryNotFoundError) or status == 404:
        return f"there is no such repository or owner, or the token may not see it ({said}); check the name"
    if isinstance(answered, BadRequestError) or (status < 500 and status != 429):
        return f"the hub refuses ({said})"
    return f"the hub answered with status {status} ({said}); run again later: what was uploaded is not sent again"


def _line(error: object) -> str:
    """The first line, without addresses: those of large files carry signatures."""
    lines = re.sub(r"https?://\S+", "…", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
