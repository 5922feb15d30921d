"""What makes a study impossible, said such that whoever has the data can act on it."""

from typing import ClassVar

from schemas.errors import ConfigurationError


class StudyError(ConfigurationError):
    """A cohort cannot be judged as it is; the message names the cohort and what is wrong."""

    code: ClassVar[str] = "STUDY"
