"""The errors of the package: each is a ``ValueError``, so that ``except ValueError`` catches all.

An own type exists only where a caller would branch on it.
"""


class EbmCausalError(ValueError):
    """Something that a caller can mend: the message says what was expected, found, and what to do."""


class ArgumentError(EbmCausalError):
    """An argument outside of what a function can take."""


class TableError(EbmCausalError):
    """A table that cannot be read or analyzed; the message names the column."""


class OverlapError(TableError):
    """Levels of a covariate in which all rows are treated, or none: weights do not exist, a regression may."""


class EnergyError(EbmCausalError):
    """An energy, or values for its variables, that do not fit together; the message names the variable."""


class GraphError(EbmCausalError):
    """A graph that is not a causal graph, or a name that is not in it."""


class IdentificationError(EbmCausalError):
    """A causal question that the graph, or the form of an energy, cannot answer."""


class ConvergenceError(EbmCausalError):
    """A computation that did not arrive: a fit, a minimum, a quadrature."""


class TrainingDiverged(ConvergenceError):  # noqa: N818 -- what happened, as callers know it
    """A training that ran away: a number that is not finite, or energies without bound.

    Attributes:
        step: The step at which it was seen, counted from zero.
        parameter: The parameter that gave way first.
        checkpoint: The folder with the last good state; None where none was asked for or written.
    """

    def __init__(self, message: str, *, step: int, parameter: str, checkpoint: str | None = None) -> None:
        super().__init__(message)
        self.step, self.parameter, self.checkpoint = step, parameter, checkpoint
