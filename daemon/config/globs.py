"""Which paths patterns have in common: searched for, not guessed. Pure.

Patterns are automata over paths below a watched folder, read as `daemon.intake.match` reads them; several run side by
side over the same letters. What is found is a path that proves it; where nothing is found, there is none.
"""

from __future__ import annotations

import fnmatch
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from daemon.groups.patterns import KEY
from daemon.intake.match import IGNORED

MAX_STATES = 20_000
"""Where the search gives up, and says that there is none; twenty patterns with three stars each stay far below."""

_TOKEN = re.compile(r"\{key\}|\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_FIRST = "xyz"  # tried first, so that what is found reads well; they stand in no ignored name
_OTHER = "\ue000"  # of private use: stands for every letter that no pattern has literally


class _Token(NamedTuple):
    """One place of a pattern: the letters that fit there; `many`: any number of them; `slash`: whether / may."""

    fits: re.Pattern[str]
    many: bool
    slash: bool

    def takes(self, letter: str) -> bool:
        """Whether the letter fits."""
        return (self.slash or letter != "/") and self.fits.match(letter) is not None


_ANY = _Token(re.compile(".", re.DOTALL), many=False, slash=True)


@lru_cache(maxsize=4096)
def _written(token: _Token) -> tuple[str, ...]:
    """The letters in a pattern, and the neighbours of what bounds a set, where other sorts may begin."""
    text = token.fits.pattern
    by = (-1, 0, 1) if "[" in text else (0,)
    near = {chr(max(1, ord(letter) + step)) for letter in text for step in by}
    return tuple(sorted(letter for letter in near if letter.isprintable() and len(letter.casefold()) == 1))


class Globs:
    """Patterns, one of which must match the path, or, with `names`, its last component.

    A state is the set of places reached in all of the patterns, as bits. Each has one place more than tokens: its end.
    """

    def __init__(self, patterns: Sequence[Sequence[_Token]], *, names: bool) -> None:
        self.names = names
        self.start = self._ends = self._stars = 0
        self.tokens = list[_Token]()
        self.examples = [_example(pattern) for pattern in patterns]
        self._fitting: dict[str, int] = {}
        for pattern in patterns:
            self.start |= 1 << len(self.tokens)
            for token in pattern:
                self._stars |= token.many << len(self.tokens)
                self.tokens.append(token)
            self._ends |= 1 << len(self.tokens)
            self.tokens.append(_ANY)
        self.start = self._past(self.start)

    def _past(self, state: int) -> int:
        """A star may stand for nothing; no two stand side by side."""
        return state | (state & self._stars) << 1

    def fitting(self, letter: str) -> int:
        """The places at which a letter fits."""
        if letter not in self._fitting:
            places = sum(1 << place for place, token in enumerate(self.tokens) if token.takes(letter))
            self._fitting[letter] = places & ~self._ends
        return self._fitting[letter]

    def step(self, state: int, letter: str) -> int:
        """The state after one more letter. Names begin anew behind each slash."""
        if self.names and letter == "/":
            return self.start
        fitting = state & self.fitting(letter)
        return self._past((fitting & self._stars) | (fitting & ~self._stars) << 1)

    def accepts(self, state: int) -> bool:
        """Whether what was read so far matches."""
        return bool(state & self._ends)


def _tokens(glob: str, *, slash: bool) -> list[_Token]:
    """A pattern as places. `slash`: its wildcards stand for / too, as where the whole path is held against it."""
    found = list[_Token]()
    for piece in _TOKEN.findall(glob):
        if piece == KEY:
            found += [_ANY._replace(slash=False), _ANY._replace(slash=False, many=True)]
        elif not (piece.startswith("*") and found and found[-1].many):
            fits = (
                re.compile(".", re.DOTALL) if piece[0] == "*" else re.compile(fnmatch.translate(piece), re.IGNORECASE)
            )
            found.append(_Token(fits, piece[0] == "*", slash or piece == "/"))
    return found


def _example(tokens: Sequence[_Token]) -> str:
    """A text that matches: the plainest one."""
    letters = (next((each for each in (_FIRST[0], *_written(token)) if token.takes(each)), "") for token in tokens)
    return "".join(letters)


@lru_cache(maxsize=1024)
def matching(globs: tuple[str, ...]) -> tuple[Globs, Globs]:
    """What `daemon.intake.match.matches` lets through: one of the two must."""
    names = Globs([_tokens(glob, slash=False) for glob in globs if "/" not in glob], names=True)
    return names, Globs([_tokens(glob, slash=True) for glob in globs if "/" in glob], names=False)


@lru_cache(maxsize=1024)
def grouped(patterns: tuple[str, ...]) -> tuple[Globs, Globs]:
    """What a pattern of `inputs` matches: held against the last components of a path, whatever folder is before."""
    names = Globs([_tokens(text, slash=False) for text in patterns if "/" not in text], names=True)
    any_folder = [_ANY._replace(many=True), *_tokens("/", slash=True)]
    deep = [_tokens(text, slash=False) for text in patterns if "/" in text]
    return names, Globs([each for tokens in deep for each in (tokens, [*any_folder, *tokens])], names=False)


_NEVER = Globs([[], *(_tokens(glob, slash=False) for glob in IGNORED)], names=True)
"""Components of paths that no scan hands over."""


# -- the search --------------------------------------------------------------------------------------------------

States: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Paths:
    """Paths that every pair of `wanted` lets through and a scan hands over.

    `below`: only those in this folder, and without its name. Without `recursive`, none in subfolders.
    """

    wanted: tuple[tuple[Globs, Globs], ...]
    recursive: bool = True
    below: str = ""

    @cached_property
    def automata(self) -> tuple[Globs, ...]:
        """All that run side by side; the first refuses."""
        return (_NEVER, *(globs for pair in self.wanted for globs in pair))

    def start(self) -> States | None:
        """The states before the first letter; None where no path can be."""
        return self.read(tuple(globs.start for globs in self.automata), self.below)

    def read(self, states: States, text: str) -> States | None:
        """The states after more of a path; None where no scan goes there."""
        automata = self.automata
        for letter in text:
            if letter == "/" and (not self.recursive or _NEVER.accepts(states[0])):
                return None
            states = tuple([globs.step(state, letter) for globs, state in zip(automata, states, strict=True)])
        return states

    def accept(self, states: States, ending: str = "") -> bool:
        """Whether one of these paths was read, once `ending` is added."""
        read = self.read(states, ending) if ending else states
        if read is None or _NEVER.accepts(read[0]):
            return False
        told = [globs.accepts(state) for globs, state in zip(self.automata, read, strict=True)][1:]
        return all(told[at] or told[at + 1] for at in range(0, len(told), 2))


def stem(*asked: tuple[Paths, Sequence[str]]) -> str | None:
    """A text that is one of each of these paths with each of its endings; None if there is none.

    Examples of the patterns are tried first, since most often one of them will do; else it is the shortest.
    """
    paths = [each for each, _ in asked]
    if (start := _read_all(paths, [each.start() for each in paths], "")) is None:
        return None
    for text in _examples(paths):
        if (states := _read_all(paths, start, text)) is not None and _found(asked, states):
            return text
    letters = _letters([globs for each in paths for globs in each.automata])
    waiting, seen = deque([("", start)]), {start}
    while waiting and len(seen) < MAX_STATES:
        text, states = waiting.popleft()
        if _found(asked, states):
            return text
        for letter in letters:
            if (after := _read_all(paths, states, letter)) is not None and after not in seen:
                seen.add(after)
                waiting.append((text + letter, after))
    return None


@lru_cache(maxsize=4096)
def common(*paths: Paths) -> str | None:
    """A path that is one of each of these; None if there is none."""
    return stem(*((each, ("",)) for each in paths))


def _examples(paths: Sequence[Paths]) -> Iterable[str]:
    automata = [globs for each in paths for globs in each.automata if globs is not _NEVER]
    return dict.fromkeys([_FIRST[0], *(text for globs in automata for text in globs.examples)])


def _found(asked: Sequence[tuple[Paths, Sequence[str]]], states: Sequence[States]) -> bool:
    together = zip(asked, states, strict=True)
    return all(paths.accept(at, ending) for (paths, endings), at in together for ending in endings)


def _read_all(paths: Sequence[Paths], states: Sequence[States | None], text: str) -> tuple[States, ...] | None:
    """The states of all after more of a path; None where a scan of one of them does not go there."""
    read = [None if at is None else each.read(at, text) for each, at in zip(paths, states, strict=True)]
    known = tuple(at for at in read if at is not None)
    return known if len(known) == len(read) else None


def _letters(automata: Iterable[Globs]) -> list[str]:
    """One letter of each sort that the wanted patterns tell apart, but for case, which does not count.

    Of letters alike, one that stands in no ignored name is the best: no other makes a path that this one does not.
    """
    wanted = [globs for globs in automata if globs is not _NEVER]
    told = [letter.casefold() for globs in wanted for token in globs.tokens for letter in _written(token)]
    sorts: dict[tuple[object, ...], str] = {}
    for letter in (*_FIRST, _OTHER, *told, "/"):
        sorts.setdefault((letter == "/", *(globs.fitting(letter) for globs in wanted)), letter)
    return list(sorts.values())
