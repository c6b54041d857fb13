"""The ways in which a run can be told no."""


class InputError(ValueError):
    """An argument, parameter or configuration that cannot be used. Names the value and the remedy."""


class DataError(RuntimeError):
    """A data file that is missing, truncated, corrupt, or of an unexpected form."""


class ResultError(RuntimeError):
    """A stored result that is missing, half-written, edited by hand, or of another format."""


class RunError(RuntimeError):
    """A run that broke what every run must satisfy: a defect of the library. Nothing of it is stored."""
