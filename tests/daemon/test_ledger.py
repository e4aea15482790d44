"""The ledger: every transition, every fault of the disk, several writers at once. Real SQLite on real files."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.errors import BlockedError, DarkroomError
from daemon.ledger import NEXT, Arrival, IllegalMoveError, Intent, Ledger, Move
from daemon.ledger.migrations import MIGRATIONS
from daemon.model import Fingerprint, Job, Member, State
from tests.box import ENVIRONMENT

PRINT = Fingerprint(10, 20, 30)
ROOT = "/in"
WAY: dict[State, list[State]] = {
    State.WAITING: [],
    State.RUNNING: [State.RUNNING],
    State.DONE: [State.RUNNING, State.DONE],
    State.FAILED: [State.RUNNING, State.FAILED],
    State.SKIPPED: [State.SKIPPED],
    State.CANCELLED: [State.CANCELLED],
}
"""How a new job comes into each state."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db", clock=clock)) as opened:
        yield opened


def arrival(name: str = "a.png", *, rule: str = "r", fingerprint: Fingerprint = PRINT) -> Arrival:
    return Arrival(rule, ROOT, name, fingerprint, "found")


def entered(ledger: Ledger, *names: str, rule: str = "r", state: State = State.WAITING) -> list[Job]:
    """New jobs, oldest first, brought into a state."""
    ledger.add([arrival(name, rule=rule) for name in names])
    jobs = ledger.jobs(limit=len(names))[::-1]
    for step in WAY[state]:
        ledger.advance([Move(job.id, step, "on its way") for job in jobs])
    return ledger.jobs(ids=[job.id for job in jobs])[::-1]


def recount(path: Path) -> dict[tuple[str, str], int]:
    with closing(sqlite3.connect(path)) as db:
        return {
            (rule, state): n for rule, state, n in db.execute("SELECT rule, state, count(*) FROM jobs GROUP BY 1, 2")
        }


def counted(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(rule, state.value): n for rule, states in ledger.counts().items() for state, n in states.items()}


# -- the schema ------------------------------------------------------------------------------------------------------


def old_ledger(path: Path, steps: int) -> None:
    """A ledger as an older darkroom left it, with a job in it once there was a table for jobs."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for step in MIGRATIONS[:steps]:
            step(db)
        db.execute(f"PRAGMA user_version = {steps}")
        if steps:
            insert = "INSERT INTO jobs (rule, root, relative, size, mtime_ns, inode, state, reason, created, updated)"
            db.execute(f"{insert} VALUES ('r', '/in', 'old.png', 10, 20, 30, 'waiting', 'found', 1, 1)")


@pytest.mark.parametrize("steps", range(len(MIGRATIONS) + 1))
def test_every_older_ledger_is_brought_up_to_date(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "ledger.db"
    old_ledger(path, steps)
    with closing(Ledger(path)) as ledger:
        assert len(ledger.jobs()) == (1 if steps else 0)
        assert counted(ledger) == recount(path)
        entered(ledger, "new.png", state=State.DONE)
        assert counted(ledger) == recount(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(DarkroomError, match="newer darkroom") as caught:
        Ledger(path)
    assert "\n" not in str(caught.value)


OPEN_AT_ONCE = """
import sys
from pathlib import Path
from daemon.ledger import Ledger
print("here", flush=True)
sys.stdin.readline()
Ledger(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("round_", range(3))
def test_new_ledger_opened_by_several_processes_at_once(tmp_path: Path, round_: int) -> None:
    """`darkroom jobs` may be the first to open a ledger in the same moment as the daemon."""
    children = [script(OPEN_AT_ONCE, tmp_path / "ledger.db") for _ in range(4)]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "here\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    assert [child.communicate(timeout=30)[1] for child in children] == [""] * 4


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


# -- transitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", State)
@pytest.mark.parametrize("before", State)
def test_only_named_transitions(ledger: Ledger, before: State, after: State) -> None:
    (job,) = entered(ledger, "a.png", state=before)
    told = len(ledger.history(job.id))
    if after in NEXT[before]:
        ledger.advance([Move(job.id, after, "because")])
        assert (ledger.jobs()[0].state, ledger.jobs()[0].reason) == (after, "because")
    else:
        with pytest.raises(IllegalMoveError, match=rf"job {job.id} "):
            ledger.advance([Move(job.id, after, "because")])
        assert ledger.jobs() == [job]
    assert len(ledger.history(job.id)) == told + (after in NEXT[before])


def test_every_state_is_named_and_reached() -> None:
    assert set(NEXT) == set(State) == set(WAY)


def test_unknown_job_is_refused(ledger: Ledger) -> None:
    with pytest.raises(IllegalMoveError):
        ledger.advance([Move(77, State.RUNNING, "?")])


def test_moves_are_made_all_or_none(ledger: Ledger) -> None:
    one, two = entered(ledger, "a.png", "b.png")
    with pytest.raises(IllegalMoveError):
        ledger.advance([Move(one.id, State.RUNNING, "fine"), Move(two.id, State.DONE, "not from waiting")])
    assert {job.state for job in ledger.jobs()} == {State.WAITING}
    assert [len(ledger.history(job.id)) for job in (one, two)] == [1, 1]


def test_history_is_complete(ledger: Ledger, clock: Clock) -> None:
    (job,) = entered(ledger, "a.png")
    steps = [State.RUNNING, State.WAITING, State.RUNNING, State.FAILED, State.WAITING, State.CANCELLED, State.WAITING]
    for step in steps:
        clock.now += 1
        ledger.advance([Move(job.id, step, f"to {step.value}")])
    expected = [(1000.0, State.WAITING, "found")]
    expected += [(1001.0 + i, step, f"to {step.value}") for i, step in enumerate(steps)]
    assert ledger.history(job.id) == expected
    assert (ledger.jobs()[0].created, ledger.jobs()[0].updated) == (1000.0, 1007.0)


def test_move_leaves_alone_what_it_does_not_name(ledger: Ledger) -> None:
    (job,) = entered(ledger, "a.png", state=State.RUNNING)
    ledger.advance([Move(job.id, State.WAITING, "again", attempts=2, not_before=5.0, device="cpu")])
    ledger.advance([Move(job.id, State.RUNNING, "taken")])
    found = ledger.jobs()[0]
    assert (found.attempts, found.device, found.not_before) == (2, "cpu", 0.0)


def test_counts_equal_a_recount_after_random_moves(ledger: Ledger, tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(60):
        ledger.add(
            [arrival(f"{chance.randrange(30)}.png", rule=chance.choice("pqr"), fingerprint=Fingerprint(1, 2, number))]
        )
    for _ in range(400):
        job = chance.choice(ledger.jobs())
        if NEXT[job.state]:
            ledger.advance([Move(job.id, chance.choice(NEXT[job.state]), "chance")])
    assert counted(ledger) == recount(tmp_path / "ledger.db")


# -- the queue -------------------------------------------------------------------------------------------------------


def test_claim_takes_the_oldest_first_and_marks_them(ledger: Ledger) -> None:
    jobs = entered(ledger, *(f"{n}.png" for n in range(5)))
    assert [job.id for job in ledger.claim(["r"], 3, "taken")] == [job.id for job in jobs[:3]]
    assert {job.state for job in ledger.jobs(ids=[job.id for job in jobs[:3]])} == {State.RUNNING}
    assert [job.id for job in ledger.claim(["r"], 9, "taken")] == [job.id for job in jobs[3:]]
    assert ledger.claim(["r"], 9, "taken") == []


def test_claim_keeps_to_its_rules_and_to_what_is_due(ledger: Ledger, clock: Clock) -> None:
    (one,), (two,) = entered(ledger, "a.png", rule="p"), entered(ledger, "a.png", rule="q")
    ledger.advance([Move(one.id, State.RUNNING, "taken")])
    ledger.advance([Move(one.id, State.WAITING, "later", not_before=clock.now + 5)])
    assert ledger.claim(["p"], 9, "taken") == []
    clock.now += 5
    assert [job.id for job in ledger.claim(["p"], 9, "taken")] == [one.id]
    assert ledger.claim([], 9, "taken") == []
    assert [job.id for job in ledger.claim(["p", "q"], 9, "taken")] == [two.id]


def test_claim_while_waiting_versions_are_replaced(ledger: Ledger) -> None:
    """A file is rewritten again and again while its jobs are claimed: neither side may meet an illegal move."""
    trouble: list[BaseException] = []
    over = threading.Event()

    def guarded(body: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                body()
            except BaseException as error:  # noqa: BLE001 - whatever it was, the test tells
                trouble.append(error)
            finally:
                over.set()

        return run

    def rewrite() -> None:
        for number in range(150):
            ledger.add([arrival(f"{n}.png", fingerprint=Fingerprint(1, number, n)) for n in range(8)])

    def claim() -> None:
        while not over.is_set():
            ledger.claim(["r"], 64, "taken")

    threads = [threading.Thread(target=guarded(body)) for body in (rewrite, claim)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert trouble == []


# -- versions of a file ----------------------------------------------------------------------------------------------


def test_newer_version_replaces_one_that_waits(ledger: Ledger) -> None:
    (old,) = entered(ledger, "a.png")
    ledger.add([arrival(fingerprint=Fingerprint(11, 21, 31))])
    new, replaced = ledger.jobs()
    assert (replaced.id, replaced.state) == (old.id, State.SKIPPED) and "newer" in replaced.reason
    assert new.state is State.WAITING and ledger.newest([old, new]) == {old.id: new.id, new.id: new.id}


@pytest.mark.parametrize("state", [State.RUNNING, State.DONE, State.FAILED, State.SKIPPED, State.CANCELLED])
def test_newer_version_lets_every_other_be(ledger: Ledger, state: State) -> None:
    (old,) = entered(ledger, "a.png", state=state)
    ledger.add([arrival(fingerprint=Fingerprint(11, 21, 31))])
    assert ledger.jobs(ids=[old.id]) == [old]


def test_same_name_elsewhere_is_another_file(ledger: Ledger) -> None:
    ledger.add([arrival(), arrival(rule="other"), Arrival("r", "/elsewhere", "a.png", PRINT, "found")])
    assert {job.state for job in ledger.jobs()} == {State.WAITING}
    assert len(ledger.of_source(ROOT, "a.png")) == 2


def test_latest_is_the_newest_version(ledger: Ledger) -> None:
    newer = Fingerprint(1, 1, 1)  # smaller numbers in every place: newest means entered last
    ledger.add([arrival(), arrival(fingerprint=newer), arrival("b.png")])
    assert ledger.latest("r", ROOT, ["a.png", "b.png", "c.png"]) == {"a.png": newer, "b.png": PRINT}
    assert ledger.latest("other", ROOT, ["a.png"]) == {}


def test_latest_forgets_a_source_that_darkroom_removed(ledger: Ledger) -> None:
    (job,) = entered(ledger, "a.png", state=State.RUNNING)
    ledger.advance([Move(job.id, State.DONE, "done", source_due=True)])
    assert [due.id for due in ledger.source_due()] == [job.id]
    ledger.source_settled([job.id], gone=True)
    assert ledger.source_due() == [] and ledger.latest("r", ROOT, ["a.png"]) == {}


def test_many_names_at_once(ledger: Ledger) -> None:
    names = [f"{n}.png" for n in range(1234)]
    ledger.add([arrival(name) for name in names])
    assert set(ledger.latest("r", ROOT, names)) == set(names)
    assert ledger.written([f"/out/{name}" for name in names]) == {}


# -- groups ----------------------------------------------------------------------------------------------------------

NEAR = Member("near", "/in/castle.near.jpg", PRINT)
FAR = Member("far", os.fsdecode(b"/styles/\xff.jpg"), Fingerprint(1, 2, 3), fixed=True)


def group(name: str = "castle", *members: Member, lacks: str | None = None, rule: str = "r") -> Arrival:
    whole = Fingerprint(11, 20, hash((members, lacks)) & 0xFFFF)
    return Arrival(rule, ROOT, name, whole, f"waits for {lacks}" if lacks else "found", members, lacks)


def test_members_of_a_group(ledger: Ledger) -> None:
    ids = ledger.add([group("castle", NEAR, FAR), arrival("a.png"), group("a/castle", FAR)])
    assert ledger.members(ids) == {ids[0]: (NEAR, FAR), ids[2]: (FAR,)}
    assert [job.id for job in ledger.of_member(FAR.path)] == [ids[0], ids[2]]
    assert [job.id for job in ledger.of_member(NEAR.path)] == [ids[0]] and ledger.of_member("/in/a.png") == []


def test_group_that_is_not_whole_is_in_no_queue(ledger: Ledger) -> None:
    (half,) = ledger.add([group("castle", NEAR, lacks="far: a file")])
    ledger.add([group("tower", NEAR, lacks="far: a file", rule="q")])
    assert ledger.claim(["r", "q"], 9, "taken") == [] and ledger.incomplete() == {"r": 1, "q": 1}
    (waiting,) = ledger.incomplete_jobs("r", 9)
    assert (waiting.id, waiting.lacks, waiting.state) == (half, "far: a file", State.WAITING)
    assert ledger.waiting_groups("r", ROOT) == ["castle"] and ledger.waiting_groups("r", "/other") == []
    (whole,) = ledger.add([group("castle", NEAR, FAR)])
    assert whole == half and ledger.incomplete() == {"q": 1}  # it is what the job has waited for
    assert {member.role for member in ledger.members([whole])[whole]} == {"near", "far"}
    assert [job.id for job in ledger.claim(["r", "q"], 9, "taken")] == [whole]
    (newer,) = ledger.add([group("castle", NEAR, lacks="far: a file")])
    assert newer != whole  # what is taken is not changed any more
    assert counted(ledger) == recount(ledger._database.path)


def test_group_that_can_be_no_job_fails_without_having_run(ledger: Ledger) -> None:
    (job,) = ledger.add([group("castle", NEAR, FAR, lacks="two files for near")])
    ledger.advance([Move(job, State.FAILED, "two files for near")])
    assert ledger.incomplete() == {} and [state for _, state, _ in ledger.history(job)] == [
        State.WAITING,
        State.FAILED,
    ]


def test_newest_job_of_each_group(ledger: Ledger) -> None:
    first, second = (ledger.add([group("castle", member)])[0] for member in (NEAR, FAR))
    (gone,) = ledger.add([group("tower", NEAR)])
    ledger.advance([Move(gone, State.SKIPPED, "gone", gone=True)])
    found = ledger.newest_groups("r", ROOT, ["castle", "tower", "none"])
    assert {name: job.id for name, job in found.items()} == {"castle": second} and first < second


def test_what_waits_is_found_without_a_look_at_the_rest(ledger: Ledger) -> None:
    """SQLite's own account of how it finds jobs: a ledger of a million has few that wait, and is asked all the time."""
    assert ledger.claim(["r", "q"], 9, "taken") == []
    asked, reader = list[str](), ledger._database._readers.connection
    reader.set_trace_callback(asked.append)
    ledger.claim(["r", "q"], 9, "taken")
    ledger.incomplete()
    ledger.incomplete_jobs("r", 9)
    ledger.waiting_groups("r", ROOT)
    reader.set_trace_callback(None)
    assert len(asked) == 5
    for sql in asked:
        plan = str(ledger._database.read(f"EXPLAIN QUERY PLAN {sql}", ()))
        assert ("jobs_incomplete" in plan) == ("lacks IS NOT NULL" in sql) and "jobs_by_rule" not in plan, (sql, plan)
        assert ("jobs_queue" in plan) == ("lacks IS NULL" in sql) and "TEMP B-TREE" not in plan, (sql, plan)


# -- publishing ------------------------------------------------------------------------------------------------------


def test_intent_is_spent_by_completing(ledger: Ledger) -> None:
    (job,) = entered(ledger, "a.png", state=State.RUNNING)
    intent = Intent(job.id, "/out/.t", "/out/a.png", True, PRINT)
    ledger.intend([intent])
    assert ledger.intents() == [intent] and ledger.written(["/out/a.png"]) == {}
    move = Move(job.id, State.DONE, "published", output="/out/a.png", content="c", recipe="k")
    ledger.complete([(intent, move)])
    record = ledger.written(["/out/a.png"])["/out/a.png"]
    assert ledger.intents() == [] and ledger.jobs()[0].output == "/out/a.png"
    assert (record.job, record.source, record.fingerprint) == (job.id, "/in/a.png", PRINT)
    earlier = ledger.earlier_results([job])[job.id]
    assert (earlier.content, earlier.recipe, earlier.output) == ("c", "k", "/out/a.png")
    ledger.forget_output("/out/a.png")
    assert ledger.written(["/out/a.png"]) == {} and ledger.earlier_results([job]) == {}


def test_completing_what_is_not_running_changes_nothing(ledger: Ledger) -> None:
    (job,) = entered(ledger, "a.png")
    intent = Intent(job.id, "/out/.t", "/out/a.png", False, PRINT)
    ledger.intend([intent])
    with pytest.raises(IllegalMoveError):
        ledger.complete([(intent, Move(job.id, State.DONE, "published"))])
    assert ledger.intents() == [intent] and ledger.written(["/out/a.png"]) == {}


def test_intent_withdrawn(ledger: Ledger) -> None:
    one, two = entered(ledger, "a.png", "b.png", state=State.RUNNING)
    intents = [Intent(job.id, f"/out/.{job.id}", f"/out/{job.id}", False, PRINT) for job in (one, two)]
    ledger.intend(intents)
    ledger.withdraw([one.id])
    assert ledger.intents() == intents[1:]


# -- names -----------------------------------------------------------------------------------------------------------


def test_names_that_are_not_utf8(ledger: Ledger) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    (job,) = entered(ledger, name, state=State.RUNNING)
    assert job.relative == name and ledger.latest("r", ROOT, [name, "a.png"]) == {name: PRINT}
    target = f"/out/{name}"
    intent = Intent(job.id, f"/out/.{name}", target, False, PRINT)
    ledger.intend([intent])
    assert ledger.intents() == [intent]
    ledger.complete([(intent, Move(job.id, State.DONE, "done", output=target, content="c", recipe="k"))])
    assert ledger.jobs()[0].output == target and ledger.written([target])[target].source == f"/in/{name}"
    assert ledger.earlier_results([job])[job.id].output == target
    assert ledger.of_source(ROOT, name)[0].id == job.id


def test_reason_may_hold_a_name_that_is_not_utf8(ledger: Ledger) -> None:
    """`PATH: gone before it was read` is a reason like any other, whatever the path is called."""
    name = os.fsdecode(b"\xff\xfe.png")
    (job,) = entered(ledger, name, state=State.RUNNING)
    ledger.advance([Move(job.id, State.SKIPPED, f"/in/{name}: gone before it was read")])
    assert ledger.jobs()[0].reason == ledger.history(job.id)[-1][2]
    assert "gone before it was read" in ledger.jobs()[0].reason


# -- several at once -------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from daemon.ledger import Arrival, Ledger, Move
from daemon.model import Fingerprint, State
ledger, rule = Ledger(Path(sys.argv[1])), sys.argv[2]
for n in range(150):
    ledger.add([Arrival(rule, "/in", f"{n}.png", Fingerprint(1, 2, n), "found")])
    (job,) = ledger.claim([rule], 1, "taken")
    ledger.advance([Move(job.id, State.DONE, "done")])
ledger.close()
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    children = [script(WRITER, path, rule) for rule in "pq"]
    assert [child.communicate(timeout=60)[1] for child in children] == ["", ""]
    with closing(Ledger(path)) as ledger:
        assert ledger.counts() == {rule: {State.DONE: 150} for rule in "pq"}


def test_many_threads_read_while_one_writes(ledger: Ledger) -> None:
    """Every look must see whole transactions: as many jobs of one rule as of the other."""
    over, trouble = threading.Event(), list[object]()

    def read() -> None:
        while not over.is_set():
            try:
                counts = {rule: sum(states.values()) for rule, states in ledger.counts().items()}
                if counts.get("p", 0) != counts.get("q", 0):
                    trouble.append(counts)
            except BaseException as error:  # noqa: BLE001 - whatever it was, the test tells
                trouble.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(150):
        name = f"{number}.png"
        ledger.add([arrival(name, rule="p"), arrival(name, rule="q")])
    over.set()
    for thread in threads:
        thread.join(10)
    assert trouble == [] and {rule: states[State.WAITING] for rule, states in ledger.counts().items()} == {
        "p": 150,
        "q": 150,
    }


# -- trouble with the disk -------------------------------------------------------------------------------------------


def one_line(error: BaseException, path: Path) -> bool:
    return str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("content", [b"this is no ledger\n" * 300, b"\0" * 8192], ids=["text", "zeros"])
def test_file_that_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(DarkroomError) as caught:
        Ledger(path)
    assert one_line(caught.value, path) and not isinstance(caught.value, BlockedError)
    assert path.read_bytes() == content


def test_damage_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger(path)) as ledger:
        entered(ledger, *(f"{n}.png" for n in range(2000)))
    whole = bytearray(path.read_bytes())
    whole[4096 : len(whole) - 4096] = os.urandom(len(whole) - 8192)
    path.write_bytes(whole)
    with pytest.raises(DarkroomError) as caught, closing(Ledger(path)) as ledger:
        entered(ledger, "new.png")
    assert one_line(caught.value, path)


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "ledger.db"
    with pytest.raises(BlockedError) as caught:
        Ledger(path)
    assert one_line(caught.value, path)


def make_full(ledger: Ledger, *, full: bool = True) -> None:
    """Let SQLite itself meet a full disk: the file may not grow by another page."""
    (pages,) = ledger._database.connection.execute("PRAGMA page_count").fetchone()
    ledger._database.connection.execute(f"PRAGMA max_page_count = {pages if full else 1 << 30}")


def crowd() -> list[Arrival]:
    return [arrival(f"{n}{'x' * 200}.png") for n in range(200)]


def test_full_disk_blocks_and_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    (job,) = entered(ledger, "a.png")
    make_full(ledger)
    with pytest.raises(BlockedError, match="full") as caught:
        ledger.add(crowd())
    assert one_line(caught.value, tmp_path / "ledger.db")
    assert ledger.jobs() == [job] and counted(ledger) == recount(tmp_path / "ledger.db")
    make_full(ledger, full=False)
    ledger.add(crowd())
    assert len(ledger.jobs()) == 201


def test_patience_tries_again_until_there_is_room(tmp_path: Path) -> None:
    heard: list[BlockedError] = []

    def patience(error: BlockedError) -> bool:
        heard.append(error)
        if len(heard) == 3:
            make_full(opened, full=False)
        return True

    with closing(Ledger(tmp_path / "ledger.db", patience=patience)) as opened:
        make_full(opened)
        opened.add(crowd())
        assert len(heard) == 3 and len(opened.jobs()) == 200


def test_patience_at_its_end(tmp_path: Path) -> None:
    heard: list[BlockedError] = []

    def patience(error: BlockedError) -> bool:
        heard.append(error)
        return len(heard) < 3

    with closing(Ledger(tmp_path / "ledger.db", patience=patience)) as opened:
        make_full(opened)
        with pytest.raises(BlockedError):
            opened.add(crowd())
    assert len(heard) == 3


def test_reading_is_patient_too(tmp_path: Path) -> None:
    """A thread of the daemon that cannot read the ledger for a moment must wait as it does when it cannot write."""
    path, aside = tmp_path / "ledger.db", tmp_path / "aside"
    heard: list[BlockedError] = []

    def patience(error: BlockedError) -> bool:
        heard.append(error)
        aside.rename(path)
        return True

    with closing(Ledger(path, patience=patience)) as ledger:
        path.rename(aside)
        path.mkdir()  # a first look of a thread opens a connection of its own, and here it cannot
        path.rmdir()
        path.symlink_to(tmp_path / "nowhere" / "ledger.db")
        assert ledger.jobs() == [] and len(heard) == 1


def test_locked_by_another_program(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger(path, timeout=0.05)) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BlockedError, match="locked"):
            ledger.add([arrival()])
        assert ledger.jobs() == []
        other.execute("ROLLBACK")
        ledger.add([arrival()])


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_file_system(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        with closing(Ledger(tmp_path / "ledger.db")) as ledger:
            filler = tmp_path / "filler"
            with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            with pytest.raises(BlockedError) as caught:
                ledger.add(crowd())
            assert one_line(caught.value, tmp_path / "ledger.db") and ledger.jobs() == []
            filler.unlink()
            ledger.add(crowd())
            assert len(ledger.jobs()) == 200
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
