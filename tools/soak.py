"""Kill runs, fill disks and damage files, many times over, and see whether the numbers come out the same.

    python tools/soak.py [--minutes N] [--trials N] [--workers N] [--seed N] [--studies NAME ...] [--output FILE]

Every trial runs ``prunebook run`` on a tiny probe of a study in a folder of its own, makes one fault happen, and asks
the same command again. The tables must then be those of an undisturbed run; or one clear error must have named the
file and the remedy, and following it must give these tables. Exit code 1 if one trial ended in any other way.

Runs are forked from this process, which has imported all they need, so a trial takes about two seconds. Disks that fill
up and disks that cannot be written to are small mounts, which need root on Linux; elsewhere these trials are left out.
"""

import argparse
import gc
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import soak_faults as faults
from compare_results import differences, read

from prunebook import studies
from prunebook.cli import app
from prunebook.networks import convnets
from prunebook.store import machine
from prunebook.store.probes import PLANS, PROBES, write_pictures
from prunebook.training import timing

OUTPUT = Path(__file__).resolve().parents[1] / "data" / "soak.json"
# The quickest probe of each study.
CHOSEN = {
    "cb-lenet": "weight decay",
    "cb-vgg": "tiny",
    "ec-mnist": "pixels",
    "ec-pde": "noise",
    "mr-training": "padded",
    "mr-tuning": "padded",
    "mr-pictures": "generated",
    "head-to-head": "pde",
}
OUTCOMES = ("wrong", "lost", "tracebacks", "hung", "unclear", "left over")
PATIENCE = 300.0  # seconds of one run before it counts as hung
REMEDY = re.compile(r"\b(delete|replace|free space|set PRUNEBOOK_\w+|--fresh)\b", re.IGNORECASE)


class Bad(Exception):
    """A trial ended as none may: one of OUTCOMES, and what was seen."""


@dataclass
class Reference:
    """An undisturbed run of a study with two seeds: its results and cache, and the seconds and steps of one seed."""

    home: Path
    seconds: float = 0.0
    steps: int = 0


@dataclass
class Trial:
    """One folder, in which one study is run, disturbed, and run again."""

    study: str
    home: Path
    pictures: Path
    random: random.Random
    reference: Reference
    step: int = 0
    running: list[int] = field(default_factory=list)

    @property
    def results(self) -> Path:
        return self.home / "results"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def fork(self, action: Callable[[], object], log: Path) -> int:
        """Do something in a process of its own, which ends with it; code 70 for a traceback."""
        sys.stdout.flush()
        log.touch()  # a process may be killed before it opens it
        if pid := os.fork():
            return pid
        code = 0
        try:
            handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            action()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except BaseException:
            traceback.print_exc()
            code = 70
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def start(self, *options: str, seeds: int = 1, doom: Callable[[], None] = lambda: None) -> int:
        """Type ``prunebook run``; ``doom`` prepares the fault in the new process."""
        config = PROBES[self.study][CHOSEN[self.study]]
        study = replace(studies.STUDIES[self.study], presets={"smoke": (config,)}, seeds={"smoke": 1})
        words = ["run", self.study, "--scale", "smoke", "--device", "cpu", "--seeds", str(seeds), *options]
        words += ["--data", str(self.pictures)] if config.dataset == "imagefolder" else []

        def command() -> None:
            os.environ["PRUNEBOOK_RESULTS"], os.environ["PRUNEBOOK_CACHE"] = (str(self.results), str(self.cache))
            studies.STUDIES[self.study] = study
            doom()
            app(words)

        pid = self.fork(command, self.home / f"log-{len(self.running)}")
        self.running.append(pid)
        return pid

    def end(self, pid: int, log: Path | None = None) -> tuple[int, str]:
        """Exit code and words of a run. Raises Bad for a traceback, and for one that never ends."""
        deadline = time.monotonic() + PATIENCE
        while not (done := os.waitpid(pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise Bad("hung", "a run did not end")
            time.sleep(0.005)
        code = os.waitstatus_to_exitcode(done[1])
        said = (log or self.home / f"log-{self.running.index(pid)}").read_text(errors="replace")
        if code not in (0, 2, -signal.SIGKILL):
            raise Bad("tracebacks", said[-1500:])
        return code, said

    def ask(self, *options: str, seeds: int = 1) -> tuple[int, str]:
        return self.end(self.start(*options, seeds=seeds))

    def refused(self, said: str, *places: Path) -> None:
        """One clear error: a line that names one of the places, and the remedy."""
        lines = [line for line in said.splitlines() if line.startswith("error:")]
        named = any(str(place) in line for line in lines for place in places)
        if len(lines) != 1 or not named or not REMEDY.search(lines[0]):
            raise Bad("unclear", f"{[str(place) for place in places]}: {said[-600:]}")

    def again(self, seeds: int = 1) -> str:
        """The same command, undisturbed, gives the tables of the reference and leaves nothing beside them."""
        code, said = self.ask(seeds=seeds)
        if code:
            raise Bad("unclear", f"asked again: {said[-600:]}")
        self.compare(seeds)
        left = [path for home in (self.results, self.cache) for path in home.rglob("*.part")]
        left += self.results.rglob(".seed-*")
        if left:
            raise Bad("left over", ", ".join(path.name for path in left))
        return said

    def compare(self, seeds: int) -> None:
        """In a process of its own, as a reader would."""

        def look() -> None:
            asked = tuple(f"/seed-{seed}" for seed in range(1, seeds + 1))
            both = [read(root) for root in (self.reference.home / "results", self.results)]
            both = [{place: one for place, one in found.items() if place.endswith(asked)} for found in both]
            if found := differences(*both):
                print("\n".join(found))
                sys.exit(1)

        log = self.home / "compared"
        try:
            self.end(self.fork(look, log), log)
        except Bad as trouble:
            raise Bad("wrong", trouble.args[1]) from None

    def take(self, what: str, seed: int | None = None) -> None:
        """Start from results or a cache of the reference, whole or of one seed."""
        source, target = self.reference.home / what, self.home / what
        skipped = shutil.ignore_patterns(*(f"seed-{n}" for n in (1, 2) if seed not in (None, n)), ".locks")
        shutil.copytree(source, target, ignore=skipped, dirs_exist_ok=True)

    @contextmanager
    def disk(self, place: Path, size: int) -> Iterator[Callable[[str], None]]:
        """A disk of its own at ``place``; the function given changes how it is mounted."""
        place.mkdir(exist_ok=True)

        def mount(options: str) -> None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)

        mount(f"size={size}k")
        try:
            yield lambda options: mount(f"remount,{options}")
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)


def can_mount() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True)
        return done.returncode == 0 and subprocess.run(["umount", place]).returncode == 0


def references(names: list[str], root: Path, pictures: Path) -> dict[str, Reference]:
    """Run studies undisturbed: one seed to count its steps on the disk, then two as the trials are compared with."""
    made = {name: Reference(root / name) for name in names}
    trials = {name: Trial(name, root / name, pictures, random.Random(0), made[name]) for name in names}
    for trial in trials.values():
        for home in (trial.results, trial.cache):
            home.mkdir(parents=True)
        trial.start(doom=lambda trial=trial: faults.count(trial.home / "steps"))
    for round_, options in enumerate((("--fresh",), ())):
        for trial in trials.values():
            code, said = trial.end(trial.running[round_])
            if code:
                raise SystemExit(f"{trial.study} does not run undisturbed: {said}")
            if options:
                trial.start(*options, seeds=2)
    for name, trial in trials.items():
        made[name].steps = len((trial.home / "steps").read_text().splitlines())
        made[name].seconds = max(
            json.loads(path.read_text())["wall_time"] for path in trial.results.rglob("record.json")
        )
    return made


def work(
    mine: Iterator[int], root: Path, pictures: Path, made: dict[str, Reference], seed: int, stop: float, lines: Path
) -> None:
    """Carry out trials until there are none left or the time is over; a line of JSON for each."""
    mounts, steps = can_mount(), [(name, step) for name in made for step in range(1, made[name].steps + 1)]
    random.Random(seed).shuffle(steps)
    cycle = [kind for kind in faults.CYCLE if mounts or kind not in faults.MOUNTED]
    killed = cycle.count(faults.at_a_step)
    with lines.open("w") as out:
        for number in mine:
            if time.monotonic() > stop:
                break
            turn, place = divmod(number, len(cycle))
            kind, chance = cycle[place], random.Random(f"{seed} {number}")
            what, pattern = faults.NEEDS.get(kind, ("results", "*"))
            able = [name for name in made if any(path.is_file() for path in (made[name].home / what).rglob(pattern))]
            if kind is faults.damaged_data:
                able = [name for name in made if PROBES[name][CHOSEN[name]].dataset == "imagefolder"]
            name, step = chance.choice(able or list(made)), 0
            if kind is faults.at_a_step:
                name, step = steps[(turn * killed + cycle[:place].count(kind)) % len(steps)]
            trial = Trial(name, root / f"trial-{number}", pictures, chance, made[name], step)
            trial.home.mkdir()
            entry = {"kind": kind.__doc__.strip(". \n"), "study": name, "number": number, "step": step, "bad": ""}
            try:
                kind(trial)
            except Bad as trouble:
                entry |= {"bad": trouble.args[0], "note": trouble.args[1]}
            except Exception:  # of the soak itself: a trial that could not be made is not one that went well
                entry |= {"bad": "tracebacks", "note": traceback.format_exc()[-1500:]}
            shutil.rmtree(trial.home, ignore_errors=True)
            out.write(json.dumps(entry) + "\n")
            out.flush()


def told(entries: list[dict], made: dict[str, Reference], minutes: float, seed: int) -> dict:
    """What ``data/soak.json`` holds."""
    kinds = {}
    for kind in dict.fromkeys(kind.__doc__.strip(". \n") for kind in faults.CYCLE):
        mine = [entry for entry in entries if entry["kind"] == kind]
        bad = Counter(entry["bad"] for entry in mine)
        kinds[kind] = {"trials": len(mine), **{name: bad[name] for name in OUTCOMES}}
    sha, dirty = machine.commit()
    steps = {(entry["study"], entry["step"]) for entry in entries if entry["step"]}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": sha,
        "dirty": dirty,
        "machine": machine.hardware("cpu"),
        "versions": machine.versions(),
        "seed": seed,
        "minutes": round(minutes, 1),
        "trials": len(entries),
        **{name: sum(kind[name] for kind in kinds.values()) for name in OUTCOMES},
        "steps": {"tried": len(steps), "all": sum(one.steps for one in made.values())},
        "studies": dict(Counter(entry["study"] for entry in entries)),
        "kinds": kinds,
        "bad": [entry for entry in entries if entry["bad"]],
    }


def soak(names: list[str], trials: int, minutes: float, seed: int, workers: int = 1) -> dict:
    """That many trials, or as many as the minutes have room for."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, timing.one_thread():
        root = Path(folder)
        pictures = write_pictures(root / "pictures")
        os.environ.pop("PRUNEBOOK_DATA", None)
        convnets.PLANS |= PLANS
        timing.BUDGET = 0.0
        faults.warm_up()
        made = references(names, root, pictures)
        gc.freeze()  # what is there now is shared with the processes that are forked, and not looked through there
        jobs = {}
        for worker in range(workers):
            lines = root / f"lines-{worker}"
            given = (range(worker, trials, workers), root, pictures, made, seed, begin + 60 * minutes, lines)
            base = Trial("", root, pictures, random.Random(0), Reference(root))
            jobs[base.fork(lambda given=given: work(*given), root / f"log-{worker}")] = lines
        entries = []
        for worker, (pid, lines) in enumerate(jobs.items()):
            if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
                raise SystemExit((root / f"log-{worker}").read_text())
            entries += map(json.loads, lines.read_text().splitlines())
    return told(sorted(entries, key=lambda entry: entry["number"]), made, (time.monotonic() - begin) / 60, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, help="left out: 10, or as long as the trials take")
    parser.add_argument("--trials", type=int, help="left out: as many as the minutes have room for")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--studies", nargs="+", choices=CHOSEN, default=list(CHOSEN))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    minutes = asked.minutes or (10.0 if asked.trials is None else float("inf"))
    trials = 10**9 if asked.trials is None else asked.trials
    found = soak(asked.studies, trials, minutes, asked.seed, asked.workers)
    asked.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for kind, row in found["kinds"].items():
        print(f"{kind:<60} {row['trials']:>5} trials  " + "  ".join(f"{row[name]} {name}" for name in OUTCOMES))
    for entry in found["bad"]:
        print(f"{entry['number']} {entry['study']} {entry['kind']}: {entry['bad']}: {entry['note']}")
    print(f"{found['trials']} trials, " + ", ".join(f"{found[name]} {name}" for name in OUTCOMES))
    sys.exit(bool(found["bad"] or not found["trials"]))


if __name__ == "__main__":
    main()
