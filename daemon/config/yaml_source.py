"""YAML with places: plain data, and for every part of it the line and column where it was written.

Read from YAML events rather than by `yaml.safe_load`: events carry the place of keys and aliases too, repeated keys
are seen, and nesting and alias expansion are bounded before anything is built (a few hundred bytes of nested
aliases can otherwise stand for gigabytes). Only text, numbers, booleans, lists and mappings are ever made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import yaml

from daemon.config.faults import Fault, Place, Where, dotted
from daemon.config.yaml_words import YamlError, check_printable, syntax_fault
from kernels.parameters import show

Data: TypeAlias = Any  # str | int | float | bool | None | list[Data] | dict[str, Data]

MAX_DEPTH = 32  # levels of nesting; the deepest path of config.yaml has 6
MAX_NODES = 20_000  # values after every alias is written out; a thousand long rules stay below it
MAX_DIGITS = 100  # characters of a number

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, and not in every build
_SURROGATE = re.compile("[\ud800-\udfff]")
_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_TAG = "tag:yaml.org,2002:"
_BUILD = {
    _TAG + "int": _CONSTRUCTOR.construct_yaml_int,
    _TAG + "float": _CONSTRUCTOR.construct_yaml_float,
    _TAG + "bool": _CONSTRUCTOR.construct_yaml_bool,
    _TAG + "null": _CONSTRUCTOR.construct_yaml_null,
}
_PLAIN_TAGS = {None, "!", _TAG + "str", _TAG + "seq", _TAG + "map", *_BUILD}


class Entry(NamedTuple):
    """One entry of a mapping: where its key stands, and its value."""

    place: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the document. `size` counts the values in it, `depth` its levels, both with aliases written out."""

    place: Place
    content: str | int | float | bool | list[Node] | dict[str, Entry] | None
    size: int = 1
    depth: int = 1

    def child(self, step: str | int) -> Node | None:
        """The value under this key or at this index, or None. A list may be written as its only item, which is 0."""
        if isinstance(step, str):
            return self.content[step].value if isinstance(self.content, dict) and step in self.content else None
        if isinstance(self.content, list):
            return self.content[step] if 0 <= step < len(self.content) else None
        return self if step == 0 else None

    def plain(self) -> Data:
        """This value as plain Python data, aliases written out."""
        if isinstance(self.content, dict):
            return {key: entry.value.plain() for key, entry in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content


@dataclass(frozen=True, slots=True)
class Document:
    """A whole YAML file: its values, and what was already wrong with it as YAML (such as repeated keys)."""

    root: Node
    faults: tuple[Fault, ...] = field(default=())

    def place(self, where: Where) -> Place:
        """The place of the value at this path; of the nearest value around it if there is none."""
        node = self.root
        for step in where:
            below = node.child(step)
            if below is None:
                break
            node = below
        return node.place

    def key_place(self, where: Where) -> Place:
        """The place of the key that ends this path; like `place` where the path does not end in a key."""
        parent = self.root
        for step in where[:-1]:
            parent = parent.child(step) or parent
        entries = parent.content if isinstance(parent.content, dict) else {}
        key = where[-1] if where else None
        return entries[key].place if isinstance(key, str) and key in entries else self.place(where)


def read_yaml(text: str) -> Document:
    """Read one YAML document. Raises YamlError if the text cannot be read as YAML at all, or is too big or too deep."""
    check_printable(text)
    try:
        return _Composer(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        raise YamlError(syntax_fault(error, text)) from None


class _Composer:
    """Builds the nodes from the events. What is wrong but can be read past is kept in `faults`."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}  # None while the anchored value is still being read
        self._faults: list[Fault] = []
        self._count = 0

    def document(self) -> Document:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Document(Node(Place(), None))
        root = self._node(next(self._events), ())
        next(self._events)  # the end of the document
        if not isinstance(more := next(self._events), yaml.StreamEndEvent):
            raise YamlError(_fault(more, "a second document starts here", "keep one document: remove `---`"))
        return Document(root, tuple(self._faults))

    def _node(self, event: Any, where: Where) -> Node:
        self._count += 1
        if self._count > MAX_NODES or len(where) > MAX_DEPTH:
            raise YamlError(_fault(event, *_TOO_BIG))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._check_tag(event, where)
        node = self._content(event, where)
        if node.size > MAX_NODES or len(where) + node.depth > MAX_DEPTH:
            raise YamlError(_fault(event, *_TOO_BIG))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: Any, where: Where) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, where)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, where)
        if _SURROGATE.search(event.value):  # libyaml refuses the escape that makes one; the Python parser does not
            raise YamlError(_fault(event, "half a character (a surrogate) cannot stand in text", "write the character"))
        return Node(_place(event), _scalar(event))

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            problem = f"the alias *{event.anchor} has no anchor above it"
            raise YamlError(_fault(event, problem, f'define &{event.anchor}, or write "*{event.anchor}" in quotes'))
        node = self._anchors[event.anchor]
        if node is None:
            problem = f"the alias *{event.anchor} stands inside the value it repeats"
            raise YamlError(_fault(event, problem, "write the value out"))
        return Node(_place(event), node.content, node.size, node.depth)

    def _sequence(self, start: Any, where: Where) -> Node:
        nodes: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, (*where, len(nodes))))
        return _collection(start, nodes, nodes)

    def _mapping(self, start: Any, where: Where) -> Node:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, where)
            entry = Entry(_place(event), self._node(next(self._events), (*where, key)))
            if key == "<<" and not event.style:  # quoted, it is a key like any other
                merged = self._merge(entry.value, where) | merged
            elif key in entries:
                self._repeated(entry.place, (*where, key), entries[key].place)
            else:
                entries[key] = entry
        entries = entries | {key: entry for key, entry in merged.items() if key not in entries}
        return _collection(start, entries, [entry.value for entry in entries.values()])

    def _key(self, event: Any, where: Where) -> str:
        """A key is the text as written, so `on:` and `1:` are the unknown keys "on" and "1", never true and 1."""
        if not isinstance(event, yaml.ScalarEvent):
            raise YamlError(_fault(event, "a key must be plain text", 'put text that starts with { [ or * in "quotes"'))
        return str(event.value)

    def _merge(self, value: Node, where: Where) -> dict[str, Entry]:
        """The entries that `<<` takes over; of several mappings the first one wins, as YAML has it."""
        merged: dict[str, Entry] = {}
        for node in value.content if isinstance(value.content, list) else [value]:
            if isinstance(node.content, dict):
                merged = node.content | merged
            else:
                problem = f"<< takes over the keys of a mapping, and this is {show(node.plain())}"
                self._faults.append(Fault(node.place, dotted((*where, "<<")), problem, "write <<: *NAME"))
        return merged

    def _repeated(self, place: Place, where: Where, first: Place) -> None:
        problem = f"the key stands here a second time (first on line {first.line})"
        self._faults.append(Fault(place, dotted(where), problem, "keep one of the two"))

    def _check_tag(self, event: Any, where: Where) -> None:
        if event.tag not in _PLAIN_TAGS:
            problem = f"the tag {show(event.tag)} is not known here"
            self._faults.append(Fault(_place(event), dotted(where), problem, "remove the tag (the word with !)"))


_TOO_BIG = (
    f"more than {MAX_NODES} values, or {MAX_DEPTH} levels of nesting, once aliases are written out",
    "use fewer aliases and brackets",
)


def _collection(start: Any, content: list[Node] | dict[str, Entry], nodes: list[Node]) -> Node:
    size = 1 + sum(node.size for node in nodes)
    return Node(_place(start), content, size, 1 + max((node.depth for node in nodes), default=0))


def _scalar(event: Any) -> str | int | float | bool | None:
    tag = event.tag
    if len(event.value) > MAX_DIGITS:  # 0xfff... can be a number that nothing else could even print
        return str(event.value)
    if tag is None or tag == "!":
        tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
    try:
        build = _BUILD.get(tag)
        made = build(yaml.ScalarNode(tag, event.value)) if build else event.value
    except (ValueError, LookupError, OverflowError):  # 0b_, or !!int on a word: a number by its form only
        made = event.value
    return made


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _fault(event: Any, problem: str, remedy: str) -> Fault:
    return Fault(_place(event), "yaml", problem, remedy)
