"""claim → decode → batch → run → encode → publish: the stages joined, in threads with bounded queues.

Whatever happens to one picture happens to it alone: every stage turns an error into that job's next move.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence

from daemon import receipts, stages
from daemon.batch import Batcher
from daemon.budget import ByteBudget
from daemon.errors import BlockedError, DarkroomError, PermanentError, SourceChanged
from daemon.ledger import ASKED_AGAIN, Ledger, Move
from daemon.model import Config, Job, State
from daemon.placement import Encoded
from daemon.publish import Publisher
from daemon.runtime import Ran, Runtime
from daemon.verdict import Blockades, verdict
from daemon.work import Recipe, Work
from daemon.workbench import WAIT, Verb, Workbench

log = logging.getLogger("darkroom")

READ_AHEAD = 1024  # jobs claimed and not yet decoded, at most: workers must not wait for a transaction
CLAIM = 256  # jobs claimed in one transaction
CHUNK_JOBS = 16  # small pictures travel together, so that handing over costs less than the work …
CHUNK_BYTES = 1 << 19  # … and large ones alone, so that every core has one
RUN_BYTES_PER_PIXEL = 80  # while a graph runs; measured at 24 MP: mosaic 3, wide blur 48, blur in linear light 72
GROUP = 256  # results published together at most
TELL_BLOCKED = 60.0  # seconds between two lines about the same rule being blocked
GATHER = 0.1  # seconds that results wait for others on their way: a sync costs much the same for one as for many


class Pipeline:
    """Works off the ledger. `recipe_of(rule)` gives the compiled graph of a rule, or None while there is none.

    `ended(job, move)` is told of every job that leaves `running`; `look_again(job)` that its file has new content.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        runtime: Runtime,
        *,
        recipe_of: Callable[[str], Recipe | None],
        ended: Callable[[Job, Move], None],
        look_again: Callable[[Job], None],
        complain: Callable[[str], None],
    ) -> None:
        self._config = config
        self._rules = config.rules_by_name()
        self._ledger = ledger
        self._runtime = runtime
        self._recipe_of = recipe_of
        self._tell_ended = ended
        self._look_again = look_again
        self._complain = complain
        self.blockades = Blockades()
        self.publisher = Publisher(config, ledger, complain=complain, ended=self._ended, failed=self._fail)
        self._budget = ByteBudget(config.runtime.memory, freed=self._memory_freed)
        self._bench: Workbench[Work] = Workbench(
            Batcher(runtime.batch_pixels),
            ahead=4 * runtime.batch_pixels,
            runs=runtime.concurrent_runs,
            run_pixels=config.runtime.memory // RUN_BYTES_PER_PIXEL,
            pixels_of=lambda work: work.run_pixels,
            memory_used=lambda: self._budget.used,
        )
        self._results: deque[Encoded] = deque()
        self._results_changed = threading.Condition()
        self._feed = threading.Event()
        self._stopping = threading.Event()
        self._ending = threading.Event()
        self._count = threading.Lock()
        self.in_flight = 0
        self._told_blocked: dict[str, float] = {}
        self._claiming = False
        self.fatal: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads."""
        bodies = [("claim", self._claim_loop), ("publish", self._publish_loop)]
        bodies += [(f"work-{number}", self._work_loop) for number in range(self._config.runtime.workers)]
        self._threads = [
            threading.Thread(target=self._guard, args=(body,), name=name, daemon=True) for name, body in bodies
        ]
        for thread in self._threads:
            thread.start()

    def _guard(self, body: Callable[[], None]) -> None:
        """A thread that ends early must not do so in silence: the service sees `fatal` and stops."""
        try:
            body()
        except BaseException as error:
            log.error("thread %s ended", threading.current_thread().name, exc_info=error)
            self.fatal.append(error)

    @property
    def busy(self) -> bool:
        """Whether any job is in flight, or may be: one just claimed waits no longer and is not yet counted."""
        return self._claiming or self.in_flight > 0

    def wake(self) -> None:
        """There may be jobs to claim."""
        self._feed.set()

    def stop(self, timeout: float) -> bool:
        """Finish what is decoded, hand back the rest; False if a thread had to be left behind after `timeout` s."""
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self._feed.set()
        for thread in self._threads[:1]:
            thread.join(timeout)
        self._hand_back(self._bench.close())
        while self.in_flight and time.monotonic() < deadline:
            self._ending.wait(0.02)
        self._ending.set()
        self._bench.wake_all()
        with self._results_changed:
            self._results_changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # -- claiming ------------------------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while not self._stopping.is_set():
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
        room = min(CLAIM, READ_AHEAD - self._bench.to_decode)
        now = time.time()
        recipes = {rule: recipe for rule in self._rules if (recipe := self._recipe_of(rule)) is not None}
        if room < CLAIM:
            return False
        self._claiming = True
        try:
            jobs = self._claim_from(list(recipes), room, now)
            with self._count:
                self.in_flight += len(jobs)
        finally:
            self._claiming = False
        repeats = [job for job in jobs if self._rules[job.rule].keeps_source and job.reason != ASKED_AGAIN]
        earlier = self._ledger.earlier_results(repeats)
        works = [Work(job, self._rules[job.rule], recipes[job.rule], earlier.get(job.id)) for job in jobs]
        self._bench.add_to_decode(list(_chunks(works)))
        return bool(jobs)

    def _claim_from(self, rules: Sequence[str], room: int, now: float) -> list[Job]:
        """Jobs of rules that work, and one, as a probe, of each that was found blocked: the rest would be in vain."""
        reason = "taken by darkroom"
        free = [rule for rule in rules if not self.blockades.times(rule)]
        jobs = self._ledger.claim(free, room, reason) if free else []
        for rule in set(rules) - set(free):
            if self.blockades.open(rule, now) and (probe := self._ledger.claim([rule], 1, reason)):
                self.blockades.probed(rule, now)
                jobs += probe
        return jobs

    def _hand_back(self, works: Sequence[Work]) -> None:
        moves = [Move(work.job.id, State.WAITING, "handed back: darkroom was stopped") for work in works]
        self._finish([(work.job, move) for work, move in zip(works, moves, strict=True)])

    # -- working -------------------------------------------------------------------------------------------------

    def _work_loop(self) -> None:
        verbs = {Verb.DECODE: self._decode, Verb.RUN: self._run, Verb.ENCODE: self._encode}
        while not self._ending.is_set():
            if (task := self._bench.take()) is not None:
                verb, chunk = task
                verbs[verb](chunk)

    def _decode(self, chunk: Sequence[Work]) -> None:
        ready = list[tuple[Hashable, Work]]()
        for number, work in enumerate(chunk):
            try:
                stages.begin(work, self._config.runtime.max_pixels)
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
        with self._results_changed:
            self._results.extend(results)
            self._results_changed.notify()

    def _run(self, works: Sequence[Work]) -> None:
        self._bench.ran(works, list(_chunks(self._run_or_halve(works))))

    def _run_or_halve(self, works: Sequence[Work]) -> list[Work]:
        """Run a batch; one that fails is halved until the picture at fault stands alone. The works that came out."""
        pictures = [work.decoded.pixels for work in works if work.decoded is not None]
        try:
            ran = self._runtime.run(works[0].recipe.graph, pictures)
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

    # -- publishing ----------------------------------------------------------------------------------------------

    def _publish_loop(self) -> None:
        while not (self._ending.is_set() and not self._results):
            group = self._take_group()
            try:
                if not group:
                    self.publisher.sources.dispose()  # a rule that shares a file may have ended without an output
                    continue
                later = self.publisher.publish(group)
            except BlockedError as error:  # only when stopping: the ledger waits otherwise; a restart recovers
                log.error("%s", error)
                return
            with self._results_changed:
                self._results.extendleft(reversed(later))

    def _take_group(self) -> list[Encoded]:
        """Results to publish together: what is there at once if nothing else is on its way, else a short while's."""
        with self._results_changed:
            if not self._results:
                self._results_changed.wait(WAIT)
            deadline = time.monotonic() + GATHER
            while len(self._results) < min(GROUP, self.in_flight) and (left := deadline - time.monotonic()) > 0:
                self._results_changed.wait(left)
            return [self._results.popleft() for _ in range(min(GROUP, len(self._results)))]

    # -- endings -------------------------------------------------------------------------------------------------

    def _drop(self, work: Work, error: Exception) -> None:
        """A picture leaves the pipeline with an error."""
        self._release(work)
        if not isinstance(error, DarkroomError):
            log.error("internal error with %s", work.job.path, exc_info=error)
            error = PermanentError(f"internal error ({type(error).__name__}: {error}); please report it")
        if isinstance(error, SourceChanged):
            self._look_again(work.job)
        self._fail(work.job, error)

    def _fail(self, job: Job, error: DarkroomError) -> None:
        """Decide what becomes of a job that met an error, and record it."""
        if isinstance(error, stages.Unwanted):
            self._finish([(job, Move(job.id, State.SKIPPED, str(error), repeats=error.repeats))])
            return
        now, pause = time.time(), 0.0
        if isinstance(error, BlockedError):
            blockade, new = self.blockades.block(job.rule, str(error), now)
            pause = max(0.0, blockade.until - now)
            if new and now - self._told_blocked.get(job.rule, 0.0) > TELL_BLOCKED:
                self._told_blocked[job.rule] = now
                self._complain(f"{job.rule}: {error}")
        move = verdict(job, error, self._rules[job.rule].retries, now, pause)
        if move.to is State.FAILED:
            receipts.write(self._ledger, job, self._rules[job.rule].output, error, self._complain)
        self._finish([(job, move)])

    def _finish(self, ended: Sequence[tuple[Job, Move]]) -> None:
        if not ended:
            return
        try:
            self._ledger.advance([move for _, move in ended])
        except BlockedError as error:  # only when stopping: the jobs stay `running`, and a restart hands them back
            log.error("%s", error)
        for job, move in ended:
            self._ended(job, move)

    def _ended(self, job: Job, move: Move) -> None:
        with self._count:
            self.in_flight -= 1
        if move.to is State.DONE and self.blockades.lift(job.rule):
            self._complain(f"{job.rule}: works again")
        elif move.to in (State.FAILED, State.SKIPPED):
            self.blockades.undecided(job.rule, time.time())
        self._tell_ended(job, move)

    def _memory_freed(self) -> None:
        self._bench.memory_freed()

    def _release(self, work: Work) -> None:
        charged, work.charged = work.charged, 0
        work.data = work.decoded = work.result = work.finding = None
        if charged:
            self._budget.release(charged)


def _chunks(works: Sequence[Work]) -> Iterator[Sequence[Work]]:
    """Works in the order they came, bounded in number and in bytes of their files."""
    chunk, size = list[Work](), 0
    for work in works:
        if chunk and (len(chunk) == CHUNK_JOBS or size + work.job.fingerprint.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(work)
        size += work.job.fingerprint.size
    if chunk:
        yield chunk
