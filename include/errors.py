"""The three ways a task can end early, and what each one means for a retry.

Every message names the pipeline, the source, the window and the way back, because
the person who reads it has a red square in front of them and nothing else.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta


class CicloError(Exception):
    """Base of every error this project raises on purpose."""


class SourceUnavailable(CicloError):
    """A source did not answer, or answered that it cannot now. Retrying may help.

    Parameters
    ----------
    retry_after : timedelta, optional
        How long the source asks to be left alone; asking sooner brings the same.

    Attributes
    ----------
    patience : timedelta
        How long after its begin a run goes on looking for what may still come; nothing where a retry has to do.
    """

    patience = timedelta()

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ContractBroken(CicloError):
    """What arrived is not what was agreed. Retrying brings the same; it is not retried."""


class PayloadLost(ContractBroken):
    """What the lake has kept is not there any more, or damaged. It has to be fetched again or restored."""


class NothingToDo(CicloError):
    """There is nothing for this window. The task is skipped; nothing is wrong."""


class ConfigError(CicloError):
    """The project, the machine or an option is set up wrongly; the message says how to mend it."""


@contextmanager
def writable(place: object) -> Iterator[None]:
    """Let what happens to files of a place fail for good where their file system is mounted read-only.

    Any other error is let through as it is: a full disk may have room by the next try.

    Raises
    ------
    ConfigError
        It is read-only. Retrying does not help.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        raise ConfigError(
            f"{error.filename or place} cannot be written, it lies on a read-only file system: mount a volume there, or"
            " let CICLO_VAR and CICLO_LAKE name folders that can be written"
        ) from error
