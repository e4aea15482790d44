"""Groups, as values: which file belongs where, what a group lacks, and when it is another."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.groups.groups import compose, places_of
from daemon.groups.listing import Listing
from daemon.groups.patterns import Pattern, Place, check_fixed
from daemon.intake.match import ignored
from daemon.model import Fingerprint, Input, Member
from daemon.unfit import UnfitError
from tests.pairs import FAR, NEAR

ROOT = "/in"
HERE = Place("", "castle")


def member(role: str, name: str, inode: int = 1) -> Member:
    return Member(role, f"{ROOT}/{name}", Fingerprint(10, 20, inode))


@pytest.mark.parametrize(
    ("pattern", "relative", "place"),
    [
        ("{key}.near.*", "castle.near.jpg", ("", "castle")),
        ("{key}.near.*", "a/b/castle.near.jpg", ("a/b", "castle")),
        ("{key}.near.*", "Castle.NEAR.JPG", ("", "Castle")),
        ("{key}.near.*", "a.near.b.near.jpg", ("", "a.near.b")),
        ("{key}.near.*", ".near.jpg", None),
        ("{key}.near.*", "castle.near", None),
        ("{key}.near.*", "castle.far.jpg", None),
        ("{key}/far.*", "castle/far.png", ("", "castle")),
        ("{key}/far.*", "2024/castle/far.png", ("2024", "castle")),
        ("{key}/far.*", "far.png", None),
        ("{key}/far.*", "castle/x/far.png", ("castle", "x")),
        ("{key}/far.*", "castle/afar.png", None),
        ("far/{key}.*", "a/far/castle.png", ("a", "castle")),
        ("far/{key}.*", "afar/castle.png", None),
        ("*-{key}-*.png", "a-b-c-d.png", ("", "c")),
        ("IMG_????_{key}.jpg", "img_0042_x.jpg", ("", "x")),
        ("[ab]{key}", "bx", ("", "x")),
        ("{key}", "\udcff.png", ("", "\udcff.png")),
        ("{key}.near.*", "cas\ntle.near.j\npg", ("", "cas\ntle")),
        ("*/*/{key}.png", "x/y/z.png", ("", "z")),
        ("*/{key}.png", "x/y/z.png", ("x", "z")),
    ],
)
def test_a_file_and_its_group(pattern: str, relative: str, place: tuple[str, str] | None) -> None:
    assert Pattern.parse(pattern).place_of(relative) == place


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{key}-{key}", "more than once"),
        ("{key}{stem}", r"\{stem\} is not a field of a pattern"),
        ("/{key}", "below the watched folder"),
        ("~/{key}", "below the watched folder"),
        ("../{key}", "is no name"),
        ("{key}/.", "is no name"),
        ("{key}/", "a name is missing"),
        ("a//{key}", "a name is missing"),
        ("{key}\0", "NUL"),
    ],
)
def test_patterns_refused(text: str, problem: str) -> None:
    with pytest.raises(UnfitError, match=problem):
        Pattern.parse(text)


@pytest.mark.parametrize("text", ["*.jpg", "a?.jpg", "{Key}.jpg", "styles/"])
def test_fixed_files_refused(text: str) -> None:
    with pytest.raises(UnfitError):
        check_fixed(text)


def test_listing_finds_what_belongs_together(tmp_path: Path) -> None:
    """A file leads to its group, and the group back to the file: for every pattern, name and depth."""
    pieces, dice = ("a", "b", ".", "-", "near", "A", "[", "*"), random.Random(5)
    names = {"".join(dice.choices(pieces, k=dice.randint(1, 4))) for _ in range(60)} - {".", ".."}
    names = {name for name in names if not ignored(name)}
    for _ in range(300):
        folders = [f"{name}b" for name in dice.choices(sorted(names), k=dice.randint(0, 2))]
        made = tmp_path.joinpath(*folders, f"{dice.choice(sorted(names))}a")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    found = 0
    for text in (
        "{key}",
        "{key}.*",
        "*-{key}",
        "{key}/*",
        "*/{key}",
        "a*/{key}*",
        "*/{key}/near*",
        "?{key}[ab]",
        "*{key}*",
    ):
        pattern, groups = Pattern.parse(text), dict[Place, set[str]]()
        for file in there:
            if (place := pattern.place_of(file)) is not None:
                groups.setdefault(place, set()).add(file)
        listing = Listing(str(tmp_path))
        for place, members in groups.items():
            assert set(listing.files(pattern, place)) == members, (text, place)
            found += len(members)
    assert found > 200


def test_names_lead_back_to_their_places() -> None:
    for name in ("castle", "a/castle", "a/b/castle"):
        assert Place.named(name).name == name


def test_what_is_missing_is_named_as_the_user_would_write_it() -> None:
    group = compose((NEAR, FAR), Place("a", "castle"), {"near": [member("near", "a/castle.near.jpg")]}, ROOT)
    assert group.lacks == "far: a file like a/castle.far.*" and group.missing == (FAR,)
    fixed = compose((NEAR, Input("far", fixed=Path("/x/far.png"))), HERE, {"near": [member("near", "n")]}, ROOT)
    assert fixed.lacks == "far: the file /x/far.png"


def test_a_whole_group_lacks_nothing() -> None:
    files = {"far": [member("far", "castle.far.png", 2)], "near": [member("near", "castle.near.jpg")]}
    group = compose((NEAR, FAR), HERE, files, ROOT)
    assert group.lacks is None and [each.role for each in group.members] == ["near", "far"]
    assert (group.fingerprint.size, group.fingerprint.mtime_ns) == (20, 20) and 0 <= group.fingerprint.inode < 1 << 63


def test_two_files_of_one_role() -> None:
    files = {"near": [member("near", "castle.near.png"), member("near", "castle.near.jpg", 2)]}
    group = compose((NEAR, FAR), HERE, files, ROOT)
    assert group.trouble is not None and "two files for near, castle.near.jpg and castle.near.png" in group.trouble
    assert group.lacks == group.trouble


def test_one_file_of_two_groups() -> None:
    assert len(list(places_of((NEAR, Input("far", Pattern.parse("{key}.far.*"))), "castle.near.far.png"))) == 2
    group = compose((NEAR, FAR), HERE, {"near": [member("near", "castle.near.far.png")]}, ROOT)
    assert group.trouble is not None
    assert "castle.near.far.png is both near of castle and far of castle.near; rename it" in group.trouble


def test_neither_is_a_special_case() -> None:
    inputs = (Input("near", Pattern.parse("{key}.x*")), Input("far", Pattern.parse("{key}.*.png")))
    assert len(list(places_of(inputs, "a.x.png"))) == 2


@pytest.mark.parametrize(("wide", "narrow"), [("{key}.*", "{key}.mask.*"), ("{key}.png", "{key}[._-]mask.png")])
def test_a_special_case_goes_before_the_general_one(wide: str, narrow: str) -> None:
    inputs = (Input("picture", Pattern.parse(wide)), Input("mask", Pattern.parse(narrow)))
    assert [(each.role, place.key) for each, place in places_of(inputs, "a.mask.png")] == [("mask", "a")]
    assert [(each.role, place.key) for each, place in places_of(inputs, "a.png")] == [("picture", "a")]


def test_every_difference_is_another_version() -> None:
    near, far = member("near", "castle.near.jpg"), member("far", "castle.far.png", 2)
    changes = [
        {"near": [near], "far": [far]},
        {"near": [near]},
        {"far": [far]},
        {"near": [replace(near, fingerprint=Fingerprint(10, 20, 3))], "far": [far]},
        {"near": [replace(near, fingerprint=Fingerprint(10, 21, 1))], "far": [far]},
        {"near": [replace(near, path="/in/castle.near.png")], "far": [far]},
        {"near": [near, replace(near, path="/in/castle.near.png")], "far": [far]},
        {"near": [replace(far, role="near")], "far": [replace(near, role="far")]},
    ]
    prints = [compose((NEAR, FAR), HERE, files, ROOT).fingerprint for files in changes]
    assert all(one != other for one, other in itertools.combinations(prints, 2))
    assert compose((FAR, NEAR), HERE, changes[0], ROOT).fingerprint == prints[0], "the order of roles is none"
