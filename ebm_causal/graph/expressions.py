r"""Functions of the observed distribution: what an identified effect equals, as text, LaTeX and numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

Names = tuple[str, ...]
Term: TypeAlias = Union["Probability", "Product", "Sum", "Quotient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probability:
    r""":math:`P(a \mid b)`, read off the observed distribution."""

    variables: Names
    given: Names = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of terms; of none, it is one."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A sum of a term over all values of some variables, which are bound by it."""

    over: Names
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotient:
    """One term over another."""

    numerator: Term
    denominator: Term


def product(terms: Iterable[Term]) -> Term:
    """Multiply terms; products within are opened, a single term stands alone."""
    flat: list[Term] = []
    for term in terms:
        flat.extend(factors_of(term))
    return flat[0] if len(flat) == 1 else Product(terms=tuple(flat))


def factors_of(term: Term) -> Sequence[Term]:
    """The terms of a product, or the one term that it is."""
    return term.terms if isinstance(term, Product) else (term,)


def summed(over: Sequence[str], term: Term) -> Term:
    """Sum a term over variables; a variable of one conditional probability alone is summed out of it."""
    if isinstance(term, Sum) and not set(over) & set(term.over):
        return summed([*over, *term.over], term.term)
    left = list(over)
    factors = list(factors_of(term))
    found = _lone_variable(left, factors)
    while found is not None:
        name, place = found
        left.remove(name)
        factors[place : place + 1] = _without(name, factors[place])
        found = _lone_variable(left, factors)
    return Sum(over=tuple(left), term=product(factors)) if left else product(factors)


def _lone_variable(names: Sequence[str], factors: Sequence[Term]) -> tuple[str, int] | None:
    for name in names:
        places = [place for place, factor in enumerate(factors) if name in free(factor)]
        alone = factors[places[0]] if len(places) == 1 else None
        if isinstance(alone, Probability) and name in alone.variables:
            return name, places[0]
    return None


def _without(name: str, factor: Term) -> list[Term]:
    rest = tuple(other for other in getattr(factor, "variables", ()) if other != name)
    return [Probability(variables=rest, given=getattr(factor, "given", ()))] if rest else []


def free(term: Term) -> frozenset[str]:
    """The variables that a term depends on."""
    if isinstance(term, Probability):
        return frozenset(term.variables + term.given)
    if isinstance(term, Sum):
        return free(term.term) - set(term.over)
    parts = term.terms if isinstance(term, Product) else (term.numerator, term.denominator)
    return frozenset().union(*map(free, parts))


def probabilities(term: Term) -> list[Probability]:
    """All probabilities in a term, in the order in which they are written."""
    if isinstance(term, Probability):
        return [term]
    if isinstance(term, Sum):
        return probabilities(term.term)
    parts = term.terms if isinstance(term, Product) else (term.numerator, term.denominator)
    return [found for part in parts for found in probabilities(part)]


def written(term: Term, latex: bool, depth: Mapping[str, int]) -> str:
    """Write a term; a bound variable whose name is taken outside gets a prime.

    Args:
        term: The term.
        latex: Whether to write LaTeX, or plain text.
        depth: How many primes each name that is visible outside has.
    """
    if isinstance(term, Probability):
        names, given = (_listed(part, latex, depth) for part in (term.variables, term.given))
        bar = r" \mid " if latex else " | "
        return f"P({names}{bar}{given})" if given else f"P({names})"
    if isinstance(term, Product):
        return " ".join(_bracketed(part, latex, depth) for part in term.terms) or "1"
    if isinstance(term, Quotient):
        above, below = (written(part, latex, depth) for part in (term.numerator, term.denominator))
        return rf"\frac{{{above}}}{{{below}}}" if latex else f"[{above}] / [{below}]"
    inner = {**depth, **{name: depth.get(name, -1) + 1 for name in term.over}}
    sign = r"\sum" if latex else "Σ"
    return f"{sign}_{{{_listed(term.over, latex, inner)}}} {written(term.term, latex, inner)}"


def _bracketed(part: Term, latex: bool, depth: Mapping[str, int]) -> str:
    text = written(part, latex, depth)
    if isinstance(part, Probability) or (latex and isinstance(part, Quotient)):
        return text
    return rf"\Bigl[{text}\Bigr]" if latex else f"[{text}]"


def _listed(names: Names, latex: bool, depth: Mapping[str, int]) -> str:
    return ", ".join((name_in_latex(name) if latex else name) + "'" * depth.get(name, 0) for name in names)


def name_in_latex(name: str) -> str:
    r"""A name as LaTeX shows it: one letter in italics, more of them upright.

    >>> name_in_latex("x"), name_in_latex("re 75_a")
    ('x', '\\mathrm{re\\ 75\\_a}')
    """
    parts = [re.sub(r"([_&%$#{}])", r"\\\1", part) for part in name.split("\\")]
    escaped = r"\backslash ".join(part.replace(" ", r"\ ") for part in parts)
    return escaped if len(name) == 1 else rf"\mathrm{{{escaped}}}"
