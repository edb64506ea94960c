"""Locks between the processes of one machine.

The operating system releases a lock when its process ends, however it ends, so no lock is ever stale. The lock files
are empty and stay where they are: another process may already be waiting for one.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

logger = logging.getLogger(__name__)

# Answers of a file system without locks, as on some clusters.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)

POLL_SECONDS = 0.5


def try_lock(path: str | Path) -> BaseFileLock | None:
    """Lock a file, until `release` is called or this process ends; None while another process holds the lock.

    Raises OSError when the file cannot be opened, or its file system has no locks.
    """
    lock = _lock_of(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


@contextmanager
def exclusive_lock(path: str | Path, waiting: str) -> Iterator[None]:
    """Hold the lock on a file while the block runs; wait, and log `waiting`, while another process holds it.

    Where the file system has no locks, the block runs without one, after a warning.
    Raises OSError when the file cannot be opened.
    """
    lock = _lock_of(path)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            logger.info(waiting)
            lock.acquire(poll_interval=POLL_SECONDS)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        logger.warning("%s: no lock (%s); continuing without, so do not start the same work twice", path, error)
    try:
        yield
    finally:
        lock.release()


def _lock_of(path: str | Path) -> BaseFileLock:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Without flock, filelock would fall back to lock files that outlive a killed process.
    return FileLock(path, fallback_to_soft=False)
