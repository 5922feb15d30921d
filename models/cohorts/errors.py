"""What is wrong with a cohort's files, said such that whoever has them can act on it."""

from typing import ClassVar

from schemas.errors import ConfigurationError, RetriableError


class CohortError(ConfigurationError):
    """A cohort's files are not as their layout says; the message names file, place and what to do."""

    code: ClassVar[str] = "COHORT"


class CohortWorkerError(RetriableError):
    """A process that read a part of a cohort died; what was done is kept, and the same command goes on."""

    code: ClassVar[str] = "COHORT_WORKER"
