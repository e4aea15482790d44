"""Templates: what is refused at check time, what they render to, and that nothing leads out of their folder."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from daemon.errors import OutputRefused
from daemon.publishing.template import Template
from daemon.unfit import UnfitError

BASE = Path("/base")
VALUES: dict[str, str | int] = {
    "dir": "a/b",
    "stem": "cat",
    "key": "castle",
    "name": "cat.jpg",
    "ext": "jpg",
    "rule": "mosaic",
    "date": "2024-05-01",
    "width": 640,
    "height": 480,
}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("outbox/{dir}/{stem}.{ext}", "/base/outbox/a/b/cat.jpg"),
        ("outbox/{name}", "/base/outbox/cat.jpg"),
        ("{rule}/{date}/{stem}-{width}x{height}.png", "/base/mosaic/2024-05-01/cat-640x480.png"),
        ("/srv/x-{rule}/{stem}.TIFF", "/srv/x-mosaic/cat.TIFF"),
        ("../up/./{stem}.webp", "/up/cat.webp"),
        ("out//{dir}//{name}", "/base/out/a/b/cat.jpg"),
        ("out/{{{stem}}}.png", "/base/out/{cat}.png"),
        ("{{}}/{stem}.png", "/base/{}/cat.png"),
        ("{name}.png", "/base/cat.jpg.png"),
        ("{dir}-x/{name}", "/base/a/b-x/cat.jpg"),
        ("/{name}", "/cat.jpg"),
        ("out/{dir}/{key}.png", "/base/out/a/b/castle.png"),
    ],
)
def test_rendering(text: str, path: str) -> None:
    assert Template.parse(text, BASE).render(VALUES) == path


def test_the_top_level_has_no_dir() -> None:
    template = Template.parse("out/{dir}/{stem}.{ext}", BASE)
    assert template.render(VALUES | {"dir": ""}) == "/base/out/cat.jpg"
    assert template.folder == "/base/out"
    assert template.fields == {"dir", "stem", "ext"}


def test_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Template.parse("~/out/{name}", BASE).folder == "/home/somebody/out"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names a folder"),
        ("out/", "names a folder"),
        ("out/{stem}/", "names a folder"),
        ("out/{stm}.png", r"\{stm\} is not a field; did you mean \{stem\}\? known: \{dir\}, "),
        ("out/{Stem}.png", "is not a field"),
        ("out/{}.png", "is not a field"),
        ("out/{stem:>9}.png", "is not a field"),
        ("out/{stem.png", "without its partner"),
        ("out/stem}.png", "without its partner"),
        ("out/{{stem}.png", "without its partner"),
        ("out/{{stem}}.png", "the same file"),
        ("out/{dir}/x.png", "the same file"),
        ("out/{stem}", "does not end like a picture"),
        ("out/{stem}{ext}", "does not end like a picture"),
        ("out/{stem}.gif", "does not end like a picture"),
        ("out/{stem}.{rule}", "does not end like a picture"),
        ("out/{stem}{{name}}", "does not end like a picture"),
        ("out/{stem}.png\n", "does not end like a picture"),
        ("out/{dir}/../{name}", "stands behind a field"),
        ("out/{stem}/./{name}", "stands behind a field"),
        ("out/{stem}/..", "stands behind a field"),
        ("out/.darkroom-{stem}.png", "temporary"),
        ("out/\0/{stem}.png", "NUL"),
        ("out/{stem}\0.png", "NUL"),
        ("~no-such-user/{name}", "home folder"),
    ],
)
def test_refused_when_checked(text: str, problem: str) -> None:
    with pytest.raises(UnfitError, match=problem):
        Template.parse(text, BASE)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("out/{dir}/{name}", {"dir": ".."}),
        ("out/{dir}/{name}", {"dir": "a/../.."}),
        ("out/{dir}/{name}", {"dir": "/etc"}),
        ("out/{dir}/{name}", {"dir": "a//b"}),
        ("out/{dir}/{name}", {"dir": "a/"}),
        ("out/{dir}/{name}", {"dir": "."}),
        ("out/{name}", {"name": ".."}),
        ("out/{name}", {"name": ""}),
        ("out/{name}", {"name": "a/b"}),
        ("out/{name}", {"name": "a\0b"}),
        ("out/{name}", {"name": "\ud800"}),
        ("out/{stem}/{name}", {"stem": "."}),
        ("out/{dir}../{name}", {"dir": ""}),
        ("out/{stem}.png", {"stem": "x" * 252}),
        ("out/{stem}.png", {"stem": "é" * 126}),
        ("out/{dir}/{name}", {"dir": "/".join(["x" * 200] * 21)}),
    ],
)
def test_refused_for_one_picture(text: str, values: dict[str, str]) -> None:
    with pytest.raises(OutputRefused, match=r"; \w+"):
        Template.parse(text, BASE).render(VALUES | values)


def test_names_that_are_not_utf8_pass_through() -> None:
    assert (
        Template.parse("out/{name}", BASE)
        .render(VALUES | {"name": "gr\udcfc\udcdfe.jpg"})
        .endswith("/gr\udcfc\udcdfe.jpg")
    )


def test_nothing_leads_out() -> None:
    pieces = ("", ".", "..", "/", "a", "\\", "~", "a/..", "../..", "/etc", "{dir}", "%2e")
    for text in ("out/{dir}/{name}", "{dir}/{stem}.{ext}", "out/x{dir}{stem}/{name}", "out/{stem}{dir}.{ext}"):
        template = Template.parse(text, BASE)
        for folder, stem, ext in itertools.product(pieces, repeat=3):
            values = VALUES | {"dir": folder, "stem": stem, "ext": ext, "name": stem + ext}
            try:
                path = template.render(values)
            except OutputRefused:
                continue
            assert path.startswith(template.folder + "/")
            assert not {"", ".", ".."} & set(path.split("/")[1:])


@pytest.mark.parametrize(
    "text", ["in/{name}", "in/{dir}/{name}", "./in//{dir}/{stem}.{ext}", "x/../in/{dir}{name}", "/base/in/{name}"]
)
def test_in_place(text: str) -> None:
    template = Template.parse(text, BASE)
    assert template.writes_over(Path("/base/in"))
    assert template.same_place(Template.parse("in/{dir}/{name}", BASE))


@pytest.mark.parametrize(
    "text", ["in/{stem}.png", "in/sub/{dir}/{name}", "{dir}/{name}", "in/{name}.png", "in/{rule}/{name}"]
)
def test_not_in_place(text: str) -> None:
    assert not Template.parse(text, BASE).writes_over(Path("/base/in"))
