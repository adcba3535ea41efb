"""Kill the whole way from a CSV to a leaderboard at every write and at random instants; it must end with the same bits.

    python -m bert_assets_tests.torture [--minutes 10] [--seed N] [--only KIND] [--workers 2]

Children are forked from this process, which has imported torch and never computed with it: such a child gives the
same bits as a fresh process and starts at once. Each case has a project folder of its own; a child is killed, the
next one goes on, until one comes to the end. Then weights, predictions, metrics, leaderboard and progress are compared
with those of an undisturbed run, and everything that is published must verify.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Imported before any fork, computed with only after it: children must not pay for these.
import matplotlib.pyplot  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch
import transformers.models.bert.modeling_bert  # noqa: F401

import bert_assets.assets.io_managers as pointers
from bert_assets.stages.evaluation import evaluate_predictions
from bert_assets.stages.predictions import predict_snapshot, publish_predictions
from bert_assets.stages.standings import publish_standings
from bert_assets.store.store import Store
from bert_assets_tests.world import YAML, World, make_world
from bert_assets_tests.write_boundaries import install

ROWS = 80
VARIANTS = {
    "plain": "",
    "accumulation": "    gradient_accumulation: 3\n",
    "bf16": "    precision: bf16\n",
    "early stopping": "    early_stopping: 2\n    eval_every: 2\n    epochs: 6\n",
    "evaluations within the epoch": "    eval_every: 2\n",
    "one checkpoint kept": "    keep_checkpoints: 1\n    eval_every: 2\n",
}
PUBLISHED = ("snapshots", "predictions", "metrics", "leaderboards", "cache/tokens", "cache/tokenizers")


def with_settings(settings: str) -> str:
    """The test YAML with these lines instead of its own lines of the same keys."""
    keys = {line.split(":")[0].strip() for line in settings.splitlines()}
    kept = [line for line in YAML.splitlines() if line.split(":")[0].strip() not in keys]
    return "\n".join(kept) + "\n" + settings


# --- One attempt, in a child ---------------------------------------------------------------------------------------


def pipeline(world: World) -> dict[str, Any]:
    """What the assets and their IO managers do, in one process: from the source to the leaderboard's pointer."""
    store = world.store
    published = world.train()
    identity = {"model_id": published.model_id, "weights_sha256": published.weights_sha256}
    store.write_pointer("runs/one.json", {"run": "one", **identity})
    snapshot = world.snapshot()
    table = predict_snapshot(store, published, snapshot, device="cpu")
    predictions = publish_predictions(
        store, "predictions", table, published=published, snapshot=snapshot.content_hash
    )
    pointers.point_run(store, "one", "predictions", predictions.content_hash, predictions.manifest)
    metrics = evaluate_predictions(store, predictions)
    pointers.point_run(store, "one", "metrics", metrics.content_hash, metrics.manifest)
    standings = publish_standings(
        store, world.experiments, {"one": metrics}, {"small": snapshot.content_hash}
    )
    store.write_pointer("leaderboards/current.json", {"content_hash": standings.content_hash})
    chain = published.manifest["checkpoint_chain"]
    return {
        "weights": published.weights_sha256,
        "predictions": predictions.content_hash,
        "metrics": metrics.content_hash,
        "leaderboard": standings.content_hash,
        "steps": timeless((published.folder / "progress.jsonl").read_text()),
        "exact": published.manifest["exact"],
        "resumes": len([entry for entry in chain if entry["from_step"]]),
        "rejected": sum(len(entry["rejected"]) for entry in chain),
    }


def timeless(progress: str) -> list[dict[str, Any]]:
    """progress.jsonl without rates."""
    entries = [json.loads(line) for line in progress.splitlines()]
    return [{key: value for key, value in entry.items() if key != "examples_per_second"} for entry in entries]


def attempt(root: Path, yaml: str, before: Callable[[World], object]) -> int:
    """Fork a child that runs the pipeline and leaves its result in the project folder."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = run_attempt(root, yaml, before)
    finally:
        os._exit(code)


def run_attempt(root: Path, yaml: str, before: Callable[[World], object] = lambda _: None) -> int:
    try:
        world = make_world(root, yaml=yaml, rows=ROWS)
        before(world)
        result = pipeline(world)
        (root / "result.json").write_text(json.dumps(result))
        return 0
    except BaseException:
        (root / "error.txt").write_text(traceback.format_exc())
        return 1


def fresh_attempt(root: Path, variant: str) -> subprocess.Popen[bytes]:
    """The same in a process that shares nothing with this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "bert_assets_tests.torture", "--attempt", str(root), variant]
    )


# --- Cases -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """Where the attempts of one project are killed: at write boundaries, and then after these seconds each."""

    kind: str
    variant: str
    boundary: int | None = None
    what: str = ""
    delays: tuple[float, ...] = ()
    fresh: bool = False


@dataclass(kw_only=True)
class Tally:
    cases: int = 0
    kills: int = 0
    resumes: int = 0
    rejected: int = 0
    identical: int = 0
    failures: list[str] = field(default_factory=list)


def kill_at(number: int) -> Callable[[World], None]:
    def before(world: World) -> None:
        def act(count: int, _what: str) -> None:
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

        install(world.store.root, act)

    return before


def list_boundaries(folder: Path, yaml: str) -> list[str]:
    """What happens at each boundary of an undisturbed run."""
    log = folder / "boundaries.txt"

    def before(world: World) -> None:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        install(world.store.root, lambda _, what: os.write(descriptor, f"{what}\n".encode()))

    wait(attempt(folder / "count", yaml, before))
    shutil.rmtree(folder / "count")
    return log.read_text().splitlines()


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_case(case: Case, root: Path, expected: dict[str, Any]) -> Tally:
    """All attempts of one case, in this process's own children."""
    tally = Tally(cases=1)
    yaml = with_settings(VARIANTS[case.variant])
    if case.fresh:
        kill_fresh(case, root, tally)
        return judge(case, root, expected, tally)
    plans: list[tuple[Callable[[World], object], float | None]] = []
    if case.boundary is not None:
        plans.append((kill_at(case.boundary), None))
    plans += [(lambda _: None, delay) for delay in case.delays]
    plans.append((lambda _: None, None))
    for before, delay in plans:
        pid = attempt(root, yaml, before)
        if delay is not None:
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
        code = wait(pid)
        tally.kills += code == -signal.SIGKILL
        if code != -signal.SIGKILL:
            break
    return judge(case, root, expected, tally)


def kill_fresh(case: Case, root: Path, tally: Tally) -> None:
    """Kill a process of its own a moment after its first checkpoint, and let another one finish."""
    process = fresh_attempt(root, case.variant)
    while process.poll() is None and not any(root.glob("store/work/*/checkpoints/step-*/state.json")):
        time.sleep(0.005)
    time.sleep(case.delays[0])
    process.kill()
    tally.kills += process.wait() == -signal.SIGKILL
    fresh_attempt(root, case.variant).wait()


def judge(case: Case, root: Path, expected: dict[str, Any], tally: Tally) -> Tally:
    """Compare what the last attempt left with the undisturbed run."""
    try:
        found = json.loads((root / "result.json").read_text())
    except FileNotFoundError:
        error = root / "error.txt"
        tally.failures.append(f"{case}: {error.read_text() if error.exists() else 'no result'}")
        return tally
    tally.resumes, tally.rejected = found.pop("resumes"), found.pop("rejected")
    differing = [name for name in expected if found[name] != expected[name]]
    unsound = problems(Store(root / "store"))
    if differing or unsound:
        tally.failures.append(f"{case}: differs in {differing}; store: {unsound}")
    else:
        tally.identical = 1
    return tally


def problems(store: Store) -> list[str]:
    """What does not verify, and what was left lying about."""
    found = []
    names = [f"{kind}/{name}" for kind in PUBLISHED for name in store.children(kind)]
    names += [
        f"models/{model}/{name}"
        for model in store.children("models")
        for name in store.children(f"models/{model}")
    ]
    for name in names:
        found += store.problems(name)
    staging = store.path("work/staging")
    found += [f"left behind: {path}" for path in (staging.iterdir() if staging.exists() else [])]
    found += [f"left behind: {path}" for path in store.root.glob("work/*/attempts/*")]
    found += [f"left behind: {path}" for path in store.root.glob("work/*/checkpoints/*")]
    found += [f"quarantined: {path}" for path in store.root.glob("quarantine/*")]
    return found


def undisturbed(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
    """The result of each variant without a kill, and how long it takes."""
    results, seconds = {}, {}
    for variant, settings in VARIANTS.items():
        root = folder / "undisturbed"
        started = time.monotonic()
        code = wait(attempt(root, with_settings(settings), lambda _: None))
        seconds[variant] = time.monotonic() - started
        if code != 0:
            raise SystemExit((root / "error.txt").read_text())
        results[variant] = json.loads((root / "result.json").read_text())
        del results[variant]["resumes"], results[variant]["rejected"]
        shutil.rmtree(root)
    return results, seconds


def random_cases(source: random.Random, seconds: dict[str, float]) -> Iterator[Case]:
    """Without end: one kill at a random instant, or several in a row."""
    while True:
        for variant in VARIANTS:
            yield Case(
                kind="random instant", variant=variant, delays=(source.uniform(0.02, seconds[variant]),)
            )
            delays = tuple(source.uniform(0.02, 0.6 * seconds[variant]) for _ in range(source.randint(2, 5)))
            yield Case(kind="several in a row", variant=variant, delays=delays)


def boundary_cases(source: random.Random, boundaries: list[str], share: float) -> list[Case]:
    """One case per write boundary (or a random share of them), some with a second kill during the resume."""
    numbers = range(len(boundaries))
    if share < 1:
        numbers = sorted(source.sample(numbers, round(len(boundaries) * share)))
    return [
        Case(
            kind="write boundary",
            variant="plain",
            boundary=number,
            what=boundaries[number],
            delays=(source.uniform(0.02, 0.3),) if source.random() < 0.1 else (),
        )
        for number in numbers
    ]


def fresh_cases(source: random.Random, number: int) -> list[Case]:
    variants = source.sample(list(VARIANTS), number)
    return [
        Case(kind="fresh process", variant=variant, delays=(source.uniform(0, 0.2),), fresh=True)
        for variant in variants
    ]


def torture(
    folder: Path,
    *,
    seed: int,
    minutes: float,
    share: float = 1.0,
    randoms: int | None = None,
    fresh: int = 4,
    workers: int = 2,
) -> dict[str, Tally]:
    """Run cases until the boundaries are through and then random ones until the time is up (or `randoms` are done)."""
    started = time.monotonic()
    source = random.Random(seed)
    expected, seconds = undisturbed(folder)
    boundaries = list_boundaries(folder, with_settings(VARIANTS["plain"]))
    print(
        f"seed {seed}; {len(boundaries)} write boundaries; an undisturbed run takes {seconds['plain']:.1f} s",
        flush=True,
    )
    fixed = fresh_cases(source, fresh) + boundary_cases(source, boundaries, share)
    endless = random_cases(source, seconds)
    tallies: dict[str, Tally] = {}
    running: dict[int, tuple[Case, Path]] = {}
    done = 0

    def next_case() -> Case | None:
        nonlocal randoms
        if fixed:
            return fixed.pop(0)
        if randoms is not None:
            randoms -= 1
            return next(endless) if randoms >= 0 else None
        return next(endless) if time.monotonic() - started < 60 * minutes else None

    while True:
        while len(running) < workers and (case := next_case()) is not None:
            root = folder / f"case-{done + len(running)}-{source.getrandbits(32):08x}"
            root.mkdir()
            pid = os.fork()
            if pid == 0:
                try:
                    tally = run_case(case, root, expected[case.variant])
                    (root / "tally.json").write_text(json.dumps(vars(tally)))
                finally:
                    os._exit(0)
            running[pid] = (case, root)
        if not running:
            return tallies
        pid, _ = os.wait()
        case, root = running.pop(pid)
        done += 1
        tally = Tally(**json.loads((root / "tally.json").read_text()))
        shutil.rmtree(root)
        total = tallies.setdefault(case.kind, Tally())
        for name in ("cases", "kills", "resumes", "rejected", "identical"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        for failure in tally.failures:
            total.failures.append(failure)
            print(f"FAILED {failure}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{done} cases, {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)


def report(tallies: dict[str, Tally]) -> str:
    lines = [f"{'kind':20}{'kills':>8}{'resumes':>9}{'rejected':>10}{'identical/total':>18}"]
    for kind, tally in tallies.items():
        same = f"{tally.identical}/{tally.cases}"
        lines.append(f"{kind:20}{tally.kills:8}{tally.resumes:9}{tally.rejected:10}{same:>18}")
    kills, cases = sum(t.kills for t in tallies.values()), sum(t.cases for t in tallies.values())
    identical = sum(t.identical for t in tallies.values())
    resumes, rejected = sum(t.resumes for t in tallies.values()), sum(t.rejected for t in tallies.values())
    lines.append(f"{'all':20}{kills:8}{resumes:9}{rejected:10}{f'{identical}/{cases}':>18}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="after the boundaries, random kills until then"
    )
    parser.add_argument("--seed", type=int, default=None, help="replays the same kills")
    parser.add_argument("--share", type=float, default=1.0, help="share of the write boundaries to try")
    parser.add_argument("--randoms", type=int, default=None, help="so many random cases, whatever the time")
    parser.add_argument("--fresh", type=int, default=4, help="cases in processes of their own")
    parser.add_argument("--attempt", nargs=2, metavar=("FOLDER", "VARIANT"), help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    if arguments.attempt is not None:
        root, variant = arguments.attempt
        sys.exit(run_attempt(Path(root), with_settings(VARIANTS[variant])))
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    assert not torch.cuda.is_initialized()
    # In memory where there is such a place: a SIGKILL loses nothing that a file system holds, synced or not.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        tallies = torture(
            Path(scratch),
            seed=seed,
            minutes=arguments.minutes,
            share=arguments.share,
            randoms=arguments.randoms,
            fresh=arguments.fresh,
            workers=arguments.workers,
        )
    print(report(tallies))
    if any(tally.failures for tally in tallies.values()):
        sys.exit(f"not identical; replay with --seed {seed}")


if __name__ == "__main__":
    main()
