"""darkroom-config(5): config.yaml, from the schema that editors get and the operators' own parameters."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.config.ranges import limits
from daemon.config.step_schema import told
from daemon.publishing.template import FIELDS
from kernels.spec import Operator, operators
from manual import roff
from manual.command_page import version
from manual.tables import Key, keys_of, mapping

_TEXT = """
One file says everything: which folders are watched, what is done, where results go. It is YAML. A relative path starts
in the folder of the file, `~` is the home folder, and an unknown key is an error; `darkroom check` tells all faults at
once. `version` and `rules`, and in a rule `name`, `watch`, `steps` and `output`, are all that is required.
"""
_EXAMPLE = """
version: 1
rules:
  - name: mosaic
    watch: inbox/mosaic
    steps: [mosaic: {block: 16}]
    output: outbox/mosaic/{dir}/{stem}.{ext}
"""
_VALUES = {
    "duration": "A number and its unit, `ms`, `s`, `m` or `h`: `500ms`, `1.5m`. 0 needs none.",
    "size": "A number and its unit, `KiB`, `MiB`, `GiB`, or `kB`, `MB`, `GB`: `512MiB`.",
    "picture size": "Pixels: `200MP`, `1GP`, or a whole number.",
    "template": "Text with fields in braces, see below. Text that starts with `{` needs quotes.",
}
_STEPS = """
A step is a name, or a name with parameters: `mosaic`, or `mosaic: {block: 8}`. Steps run from the first to the last,
each on the result of the one before it. A task takes seconds to hours, and is the only step of its rule.
"""


def page() -> str:
    """The page, as troff source."""
    return "\n".join([*_head(), *_keys(), *_templates(), *_steps(), *_tail()]) + "\n"


def _head() -> Iterator[str]:
    yield roff.title("darkroom-config", 5, version(), "darkroom")
    yield roff.name("darkroom-config", "what darkroom does with which pictures: config.yaml")
    yield roff.heading("DESCRIPTION")
    yield roff.prose(_TEXT.strip())
    yield ".PP"
    yield roff.example(_EXAMPLE)
    yield roff.heading("VALUES")
    yield from (roff.item(roff.italic(kind), text) for kind, text in _VALUES.items())


def _keys() -> Iterator[str]:
    """The top level, then the mappings in it, then a rule, then the mappings in that."""
    for name, heading in (("top", "THE FILE"), ("rule", "A RULE")):
        yield roff.heading(heading)
        yield from map(_key, keys_of(name))
        for key, schema in mapping(name)["properties"].items():
            if "properties" in schema and key != "inputs":
                yield roff.subheading(f"{key}:")
                yield from map(_key, keys_of(key))


def _key(key: Key) -> str:
    return roff.item(roff.bold(key.name), key.text + limits(key.range, key.default))


def _templates() -> Iterator[str]:
    yield roff.heading("TEMPLATES")
    yield from (roff.item(roff.bold(f"{{{name}}}"), text) for name, text in FIELDS.items())


def _steps() -> Iterator[str]:
    yield roff.heading("STEPS")
    yield roff.prose(_STEPS.strip())
    for operator in operators().values():
        yield from _step(operator)


def _step(operator: Operator) -> Iterator[str]:
    yield roff.subheading(operator.name)
    yield roff.prose(operator.doc)
    if operator.task is not None:
        yield ".PP"
        yield roff.prose(f"A task with the inputs {', '.join((*operator.task.inputs, *operator.task.optional))}.")
    yield from (roff.item(roff.bold(name), told(parameter)) for name, parameter in operator.parameters.items())


def _tail() -> Iterator[str]:
    yield roff.heading("SEE ALSO")
    yield f"{roff.bold('darkroom')}(1)"
