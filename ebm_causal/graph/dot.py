"""Causal graphs in DOT, the language of Graphviz: nodes, edges and their attributes, no subgraphs."""

import re
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import networkx as nx

from ebm_causal.errors import GraphError
from ebm_causal.graph.notation import hidden_cause, is_latent

_TOKENS = re.compile(
    r"""
    (?P<skip>\s+ | //[^\n]* | \#[^\n]* | /\*.*?\*/)
    | (?P<mark>-> | -- | [\[\]{};,=])
    | "(?P<quoted>(?:[^"\\] | \\.)*)"
    | (?P<bare>-?(?:\.\d+ | \d+(?:\.\d*)?)(?!\w) | [^\W\d]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


def write_dot(graph: nx.DiGraph) -> str:
    """Write DOT; latent nodes are dashed and carry ``latent=true``."""
    lines = ["digraph {"]
    for name, latent in graph.nodes(data="latent"):
        lines.append(f"  {_quoted(name)}" + (" [latent=true, style=dashed];" if latent else ";"))
    lines += [f"  {_quoted(cause)} -> {_quoted(effect)};" for cause, effect in graph.edges]
    return "\n".join([*lines, "}"])


def read_dot(text: str) -> nx.DiGraph:
    """Read DOT; a node is latent by ``latent=true`` or ``observed=no``, and ``dir=both`` is a double arrow.

    Raises:
        GraphError: If the text is not one directed graph of nodes and edges.
    """
    if not isinstance(text, str):
        raise GraphError(f"DOT is text; got {type(text).__name__}.")
    tokens = deque(_tokens(text))
    _read_head(tokens)
    graph: nx.DiGraph = nx.DiGraph()
    while not _accept(tokens, "}"):
        _read_statement(tokens, graph)
    if tokens:
        raise GraphError(f"DOT must end with its graph; after it comes {tokens[0].text!r}.")
    return graph


class _Token(NamedTuple):
    kind: str  # "mark", "bare" or "quoted"
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None or match.lastgroup is None:
            raise GraphError(f"this is not DOT that can be read, from {text[position : position + 20]!r} on.")
        if match.lastgroup != "skip":
            yield _Token(match.lastgroup, re.sub(r'\\(["\\])', r"\1", match[match.lastgroup]))
        position = match.end()


def _read_head(tokens: deque[_Token]) -> None:
    words = []
    while not _accept(tokens, "{"):
        words.append(_take_name(tokens))
    if words[:1] == ["strict"]:
        words = words[1:]
    if words[:1] != ["digraph"] or len(words) > 2:
        raise GraphError(
            f"DOT must hold one digraph, such as digraph {{ z -> x; }}; got {' '.join(words)!r}."
        )


def _read_statement(tokens: deque[_Token], graph: nx.DiGraph) -> None:
    keyword = tokens[0].kind == "bare" and tokens[0].text in ("graph", "node", "edge")
    names = [_take_name(tokens)]
    while _accept(tokens, "->"):
        names.append(_take_name(tokens))
    setting = _accept(tokens, "=") and _take_name(tokens)
    attributes = _read_attributes(tokens)
    _accept(tokens, ";")
    if len(names) > 1:
        _add_edges(graph, names, both=attributes.get("dir") == "both")
    elif not keyword and not setting:
        graph.add_node(names[0], latent=is_latent(attributes))


def _read_attributes(tokens: deque[_Token]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    while tokens and _accept(tokens, "["):
        while not _accept(tokens, "]"):
            key = _take_name(tokens)
            attributes[key] = _take_name(tokens) if _accept(tokens, "=") else "true"
            _accept(tokens, ",") or _accept(tokens, ";")
    return attributes


def _add_edges(graph: nx.DiGraph, names: list[str], *, both: bool) -> None:
    for left, right in pairwise(names):
        if both:
            graph.add_node(hidden_cause(left, right), latent=True)
            graph.add_edges_from((hidden_cause(left, right), name) for name in (left, right))
        else:
            graph.add_edge(left, right)


def _next(tokens: deque[_Token]) -> _Token:
    if not tokens:
        raise GraphError("DOT ends before its graph does: a brace is missing.")
    return tokens[0]


def _accept(tokens: deque[_Token], mark: str) -> bool:
    """Take the next token if it is this mark."""
    if _next(tokens) != ("mark", mark):
        return False
    tokens.popleft()
    return True


def _take_name(tokens: deque[_Token]) -> str:
    kind, text = _next(tokens)
    if kind == "mark" or (kind == "bare" and text == "subgraph"):
        raise GraphError(
            f"DOT must go on with the name of a node; got {text!r}. "
            "Edges are arrows, and subgraphs are not read."
        )
    tokens.popleft()
    return text


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
