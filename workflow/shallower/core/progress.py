"""Progress of long loops in the log."""

import logging
import time

PROGRESS_SECONDS = 10.0


class Progress:
    """Logs how far a loop is, at most once in `PROGRESS_SECONDS`."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.last_progress = time.monotonic()

    def is_due(self) -> bool:
        """Whether `PROGRESS_SECONDS` have passed since the last line, or since the start."""
        return time.monotonic() - self.last_progress >= PROGRESS_SECONDS

    def log(self, message: str, *arguments: object) -> None:
        """Log a message, formatted as by `logging`, if one is due."""
        if self.is_due():
            self.last_progress = time.monotonic()
            self.logger.info(message, *arguments)
