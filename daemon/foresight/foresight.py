"""What would become of a job, asked of the functions that the daemon itself asks; nothing is written."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from daemon.codec import Header
from daemon.errors import DarkroomError, PermanentError, SourceGone
from daemon.ledger import Ledger, Move
from daemon.model import Conditions, Config, EarlierResult, Job, Member, Rule, SourceAction, State
from daemon.pipeline import stages
from daemon.pipeline.budget import ByteBudget
from daemon.pipeline.stages import Unwanted
from daemon.pipeline.work import Recipe, Work
from daemon.publishing import findings
from daemon.publishing.naming import fields_of, sizes
from daemon.publishing.placement import Encoded, Part, Placement, Taken, status_of
from daemon.rulebook import Rulebook
from daemon.tasks import trace
from daemon.tasks.results import wanted_beside
from kernels.chain import fixed_size, task_of
from kernels.measuring import series_of
from kernels.spec import operators

UNCHANGED = "if the rule is as it was then"
"""Whether it is, only the graph's compiler tells; and ONNX Runtime, once it is loaded, writes to a cache of its own."""


class End(enum.StrEnum):
    """What would become of a job."""

    PROCESS = "process"
    SKIP = "skip"
    FAIL = "fail"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The end of a job; why, if it is not processed; its output as far as it is known; and what else is to be said."""

    end: End
    reason: str | None = None
    output: str | None = None
    notes: tuple[str, ...] = ()


class Foresight:
    """Looks ahead. `thorough`: pictures are read and, if `when` asks for colour, decoded; else only if it is needed."""

    def __init__(self, config: Config, ledger: Ledger, *, thorough: bool) -> None:
        self._config = config
        self._ledger = ledger
        self._thorough = thorough
        self._placement = Placement(Rulebook(config), ledger)

    def of(self, rule: Rule, job: Job, members: Sequence[Member] = ()) -> Foreseen:
        """The end of a job, which need not be in the ledger."""
        try:
            header, notes = self._read(rule, job, members)
            return self.placed(rule, job, _size(rule, header), notes)
        except Unwanted as error:
            return Foreseen(End.SKIP, str(error) if error.repeats is None else f"{error}, {UNCHANGED}")
        except (Taken, SourceGone) as error:
            return Foreseen(End.SKIP, str(error))
        except PermanentError as error:
            return Foreseen(End.FAIL, str(error))
        except DarkroomError as error:
            return Foreseen(End.LATER, str(error))

    # -- the picture ---------------------------------------------------------------------------------------------

    def _read(self, rule: Rule, job: Job, members: Sequence[Member]) -> tuple[Header | None, tuple[str, ...]]:
        """The header of the picture, of a group's first one; and what is not known yet. Raises what the work raises."""
        earlier = self._earlier(rule, job) if not members else None
        colored = rule.when.color is not None
        sized = replace(rule.when, color=None) != Conditions() or bool(_unsettled(rule))
        notes = ("if its colours fit `when`",) if colored and not self._thorough else ()
        if not (self._thorough or sized or earlier):
            return None, notes
        headers = [self._begin(*each, earlier) for each in _pictures(rule, job, members)]
        return headers[0], notes

    def _begin(self, rule: Rule, job: Job, earlier: EarlierResult | None) -> Header:
        work = Work(job, rule, Recipe(None, earlier.recipe if earlier else ""), earlier)
        stages.begin(work, self._config.runtime.max_pixels)
        assert work.header is not None
        if self._thorough and rule.when.color is not None:
            stages.decode_source(work, ByteBudget(self._config.runtime.memory))
        return work.header

    def _earlier(self, rule: Rule, job: Job) -> EarlierResult | None:
        """The result that the same content would repeat."""
        if not rule.keeps_source or job.asked_again:
            return None
        return self._ledger.earlier_results([job]).get(job.id)

    # -- the output ----------------------------------------------------------------------------------------------

    def placed(self, rule: Rule, job: Job, size: tuple[int, int] | None, notes: tuple[str, ...] = ()) -> Foreseen:
        """Where the result goes, given its width and height if they are known. Raises Taken, OutputRefused."""
        if not rule.publishes:
            return Foreseen(End.PROCESS, None, None, (*notes, f"measured for {rule.report}"))
        target = rule.output.render(fields_of(job) | sizes(*(size or fixed_size(rule.chain))))
        if size is None and _unsettled(rule):
            return Foreseen(End.PROCESS, None, target, (*notes, "its size is known once it is computed"))
        parts = tuple(Part("", job.fingerprint, suffix) for suffix in ("", *_beside(rule)))
        record = self._ledger.written([target]).get(target)
        item = Encoded(job, rule, target, parts, Move(job.id, State.DONE, ""))
        name = self._placement.intents(item, record, set())[0].target
        if name != target:
            notes = (*notes, f"{target} is taken")
        elif status_of(target) is not None:
            owner = "a file that is not darkroom's" if record is None else f"the result of {record.source}"
            own = record is not None and (record.rule, record.source) == (rule.name, job.path)
            notes = (*notes, "replaces its own earlier result" if own else f"replaces {owner}")
        return Foreseen(End.PROCESS, None, name, notes)


def _pictures(rule: Rule, job: Job, members: Sequence[Member]) -> list[tuple[Rule, Job]]:
    """What is read for a job: the picture; or those of a group, of which `when` is about the ones a task needs."""
    if not members:
        return [(rule, job)]
    task = task_of(rule.chain)
    needed = task.inputs if task else ()
    free = replace(rule, when=Conditions())
    ordered = sorted(members, key=lambda member: member.role not in needed[:1])
    return [(rule if each.role in needed else free, _alone(job, each)) for each in ordered]


def _alone(job: Job, member: Member) -> Job:
    root, _, relative = member.path.rpartition("/")
    return replace(job, root=root, relative=relative, fingerprint=member.fingerprint)


def _unsettled(rule: Rule) -> frozenset[str]:
    """The fields of the output that follow from the size of the picture."""
    known = sizes(*fixed_size(rule.chain))
    return rule.output.fields & {name for name, value in known.items() if isinstance(value, str)}


def _size(rule: Rule, header: Header | None) -> tuple[int, int] | None:
    """Width and height of the result, where they follow from those of the picture alone."""
    if header is None or any(operators()[step.name].resizes for step in rule.chain):
        return None
    if (task := task_of(rule.chain)) is not None:
        height, width = task.size(dict(rule.chain[0].parameters), header.height, header.width)
        return width, height
    return header.width, header.height


def _beside(rule: Rule) -> list[str]:
    """The suffixes of what lies beside an output of the rule."""
    if (task := task_of(rule.chain)) is None:
        return [findings.SUFFIX] if series_of(rule.chain) else []
    return [*wanted_beside(rule.chain, task), *((trace.JSON, trace.SVG) if rule.trace else ())]


def source_after(rule: Rule, job: Job, path: str | None = None) -> str:
    """What becomes of the source, in words; of a group, of the file at `path`."""
    if rule.source.action is SourceAction.KEEP:
        return "the source stays"
    if rule.source.action is SourceAction.DELETE or rule.source.to is None:
        return "then the source is deleted"
    try:
        return f"then the source is moved to {rule.source.to.render(fields_of(job, file=path))}"
    except DarkroomError as error:
        return f"then the source cannot be moved: {error}"


def is_gone(job: Job) -> bool:
    """Whether the file of a job is no longer there."""
    return not os.path.lexists(job.path)
