"""claim → decode → batch → run → encode → publish: the stages joined, in threads with bounded queues.

Whatever happens to one picture happens to it alone: every stage turns an error into that job's next move.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence

from daemon.errors import BlockedError, SourceChanged
from daemon.ledger import Ledger, Move
from daemon.life.threads import Threads, beat
from daemon.model import Job, Rule, State
from daemon.pipeline import stages
from daemon.pipeline.batch import Batcher
from daemon.pipeline.budget import ByteBudget
from daemon.pipeline.claiming import CLAIM, Claiming, portions
from daemon.pipeline.endings import Endings
from daemon.pipeline.meters import NO_METERS, Meters, Stage
from daemon.pipeline.outlet import Outlet
from daemon.pipeline.verdict import Blockades
from daemon.pipeline.work import Recipe, Work
from daemon.pipeline.workbench import WAIT, Verb, Workbench
from daemon.publishing.placement import Encoded
from daemon.publishing.publish import Publisher
from daemon.rulebook import Rulebook
from daemon.runtime import Ran, Runtime

log = logging.getLogger("darkroom")

READ_AHEAD = 1024  # jobs claimed and not yet decoded, at most: workers must not wait for a transaction
RUN_BYTES_PER_PIXEL = 80  # while a graph runs; measured at 24 MP: mosaic 3, wide blur 48, blur in linear light 72
CLAIM_WITHIN, PUBLISH_WITHIN, WORK_WITHIN = 120.0, 600.0, 1200.0
"""Seconds after which a loop that has not gone round hangs (docs/decisions/028-liveness.md): a transaction; a group
synced to a disk that is busy; a chunk of large pictures, or the engine of a card that is built for its shape."""


class Pipeline:
    """Works off the ledger by the rules in force. `recipe_of(rule)` gives the compiled graph, None while there is none.

    `ended(job, move)` is told of every job that leaves `running`; `look_again(job)` that its file has new content.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        ledger: Ledger,
        runtime: Runtime,
        *,
        recipe_of: Callable[[Rule], Recipe | None],
        ended: Callable[[Job, Move], None],
        look_again: Callable[[Job], None],
        complain: Callable[[str], None],
        meters: Meters = NO_METERS,
    ) -> None:
        self._meters = meters
        self._options = rulebook.config.runtime
        self._runtime = runtime
        self._look_again = look_again
        self._complain = complain
        self.blockades = Blockades()
        self._claiming = Claiming(rulebook, ledger, self.blockades, recipe_of, task=False)
        self.endings = Endings(rulebook, ledger, self.blockades, told=ended, complain=complain)
        self.publisher = Publisher(
            rulebook, ledger, complain=complain, ended=self.endings.ended, failed=self.endings.fail, meters=meters
        )
        self._budget = ByteBudget(self._options.memory, freed=self._memory_freed)
        self._bench: Workbench[Work] = Workbench(
            Batcher(runtime.batch_pixels),
            ahead=4 * runtime.batch_pixels,
            runs=runtime.concurrent_runs,
            run_pixels=self._options.memory // RUN_BYTES_PER_PIXEL,
            pixels_of=lambda work: work.run_pixels,
            memory_used=lambda: self._budget.used,
        )
        self._outlet = Outlet(self.publisher, self.endings, meters)
        self._feed = threading.Event()
        self._stopping = threading.Event()
        self._ending = threading.Event()
        self.threads = Threads()

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads."""
        bodies = [("claim", self._claim_loop, CLAIM_WITHIN), ("publish", self._outlet.run, PUBLISH_WITHIN)]
        bodies += [(f"work-{number}", self._work_loop, WORK_WITHIN) for number in range(self._options.workers)]
        for name, body, within in bodies:
            self.threads.start(name, body, within=within)

    @property
    def in_flight(self) -> int:
        """Jobs that were claimed and have not ended."""
        return self.endings.in_flight

    @property
    def queued(self) -> tuple[int, int]:
        """Bytes that the pictures in flight take up, and their bound."""
        return self._budget.used, self._budget.limit

    def wake(self) -> None:
        """There may be jobs to claim."""
        self._feed.set()

    def hand_in(self, encoded: Encoded) -> None:
        """Publish a result that was made elsewhere; its job must be among those expected."""
        self._outlet.hand_in([encoded])

    def stop(self, timeout: float) -> bool:
        """Finish what is decoded, hand back the rest; False if a thread had to be left behind after `timeout` s."""
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self._feed.set()
        self.threads.join(timeout, "claim")
        self._hand_back(self._bench.close())
        while self.in_flight and time.monotonic() < deadline:
            self._ending.wait(0.02)
        self._ending.set()
        self._bench.wake_all()
        self._outlet.end()
        return self.threads.join(max(0.2, deadline - time.monotonic()))

    # -- claiming ------------------------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while not self._stopping.is_set():
            beat()
            self._feed.clear()
            try:
                found = self._claim()
            except BlockedError as error:
                self._complain(str(error))
                found = False
            if not found:
                self._feed.wait(WAIT)

    def _claim(self) -> bool:
        """Take jobs over from the ledger; whether there were any."""
        if READ_AHEAD - self._bench.to_decode < CLAIM:
            return False
        works = self._claiming.claim()
        self.endings.expect(len(works))
        self._bench.add_to_decode(list(portions(works)))
        return bool(works)

    def _hand_back(self, works: Sequence[Work]) -> None:
        moves = [Move(work.job.id, State.WAITING, "handed back: darkroom was stopped") for work in works]
        self.endings.finish([(work.job, move) for work, move in zip(works, moves, strict=True)])

    # -- working -------------------------------------------------------------------------------------------------

    def _work_loop(self) -> None:
        verbs = {
            Verb.DECODE: (Stage.DECODE, self._decode),
            Verb.RUN: (Stage.RUN, self._run),
            Verb.ENCODE: (Stage.ENCODE, self._encode),
        }
        while not self._ending.is_set():
            beat()
            if (task := self._bench.take()) is not None:
                verb, chunk = task
                stage, act = verbs[verb]
                with self._meters.timed(stage):
                    act(chunk)

    def _decode(self, chunk: Sequence[Work]) -> None:
        ready = list[tuple[Hashable, Work]]()
        for number, work in enumerate(chunk):
            try:
                stages.begin(work, self._options.max_pixels)
                if not stages.decode_source(work, self._budget):
                    self._hand_back(self._bench.give_back(chunk[number:]))
                    break
                assert work.decoded is not None
                ready.append(((work.recipe.graph, work.decoded.pixels.shape), work))
            except Exception as error:  # noqa: BLE001 - one picture must not end the thread; the job tells
                self._drop(work, error)
        self._bench.add_ready(ready)
        if self._bench.to_decode <= READ_AHEAD - CLAIM:
            self._feed.set()

    def _encode(self, chunk: Sequence[Work]) -> None:
        results = list[Encoded]()
        for work in chunk:
            try:
                results.append(stages.encode_result(work))
                self._release(work)
            except Exception as error:  # noqa: BLE001 - one picture must not end the thread; the job tells
                self._drop(work, error)
        self._outlet.hand_in(results)

    def _run(self, works: Sequence[Work]) -> None:
        self._meters.batch(len(works))
        self._bench.ran(works, list(portions(self._run_or_halve(works))))

    def _run_or_halve(self, works: Sequence[Work]) -> list[Work]:
        """Run a batch; one that fails is halved until the picture at fault stands alone. The works that came out."""
        pictures = [work.decoded.pixels for work in works if work.decoded is not None]
        graph = works[0].recipe.graph
        assert graph is not None
        try:
            began = time.perf_counter()
            ran = self._runtime.run(graph, pictures)
            _tell_batch(works, ran.device, time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - neighbours must not suffer
            if len(works) == 1:
                self._drop(works[0], error)
                return []
            half = len(works) // 2
            return self._run_or_halve(works[:half]) + self._run_or_halve(works[half:])
        return [work for index, work in enumerate(works) if self._take_result(work, ran, index)]

    def _take_result(self, work: Work, ran: Ran, index: int) -> bool:
        try:
            stages.take_result(work, ran, index)
        except Exception as error:  # noqa: BLE001 - one picture must not end the thread; the job tells
            self._drop(work, error)
            return False
        return True

    # -- endings -------------------------------------------------------------------------------------------------

    def _drop(self, work: Work, error: Exception) -> None:
        """A picture leaves the pipeline with an error."""
        self._release(work)
        if isinstance(error, SourceChanged):
            self._look_again(work.job)
        self.endings.fail(work.job, work.rule, error)

    def _memory_freed(self) -> None:
        self._bench.memory_freed()

    def _release(self, work: Work) -> None:
        charged, work.charged = work.charged, 0
        work.data = work.decoded = work.result = work.finding = None
        if charged:
            self._budget.release(charged)


def _tell_batch(works: Sequence[Work], device: str, seconds: float) -> None:
    first = works[0].decoded
    assert first is not None
    height, width = first.pixels.shape[:2]
    rules = sorted({work.rule.name for work in works})
    text = f"{', '.join(rules)}: a batch of {len(works)}, {width}×{height}, {1000 * seconds:.1f} ms on the {device}"
    fields = {"event": "batch", "rules": rules, "pictures": len(works), "width": width, "height": height}
    log.debug("%s", text, extra={"fields": fields | {"seconds": round(seconds, 6), "device": device}})
