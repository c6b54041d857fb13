"""The command line: ``prunebook run``, ``list``, ``plan``, ``doctor``, ``verdicts`` and ``drift``.

What brings torch is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prunebook.errors import DataError, InputError, ResultError, RunError

if TYPE_CHECKING:
    from prunebook.studies.study import Study

app = typer.Typer(
    name="prunebook",
    help="Re-run what three papers claim about pruning neural networks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _option(text: str, *names: str, **more) -> object:
    return typer.Option(*names, help=text, show_default=False, **more)


Name = Annotated[str, typer.Argument(help="Name of the study; 'prunebook list' shows them.")]
Scale = Annotated[str, typer.Option(help="smoke (tests), laptop (minutes) or paper (the papers' protocol).")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Data = Annotated[Path | None, _option("Folder that holds the data sets.")]
Seeds = Annotated[int | None, _option("How many seeds, from 1.")]
Threads = Annotated[int | None, _option("Threads that torch uses.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error that the user can put right into one line and exit code 2."""
    try:
        yield
    except (InputError, DataError, ResultError, RunError) as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("interrupted: finished seeds are kept, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None


def _studies(*asked: str) -> dict[str, Study]:
    """All studies by name. Raises InputError where one that is asked for is not among them."""
    from prunebook.studies import STUDIES

    for name in asked:
        if name not in STUDIES:
            raise InputError(f"there is no study {name!r}: use one of {', '.join(STUDIES)}")
    return STUDIES


def _one_of(option: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"--{option} {value}: use one of {', '.join(known)}")


@app.command()
def run(
    study: Name,
    scale: Scale = "laptop",
    seed: Annotated[list[int] | None, _option("One seed; may be repeated.")] = None,
    seeds: Seeds = None,
    device: Device = "auto",
    data: Data = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure anew what is already there.")] = False,
    only: Annotated[
        list[str] | None, _option("Only such configurations; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    config: Annotated[str | None, _option("Only this configuration.", metavar="HASH")] = None,
    precision: Annotated[str | None, _option("Of trainings that leave a choice: single, bf16 or tf32.")] = None,
    threads: Threads = None,
    exclusive: Annotated[bool, _option("Use one GPU, and one that no other such run has.", "--exclusive")] = False,
) -> None:
    """Measure what is missing of a study. It may be interrupted, and run in several processes at once."""
    with _told(), ExitStack() as stack:
        if exclusive and device != "cpu":
            from prunebook.workflow.gpus import claimed

            name = stack.enter_context(claimed(typer.echo))
            typer.echo(f"GPU {name}" if name else "no GPU can be seen here")
        from prunebook.store.collect import collect
        from prunebook.studies.configuration import select, with_precision

        known = _studies(study)
        if seed and seeds is not None:
            raise InputError("give --seed or --seeds, not both")
        _set_threads(threads)
        configs = None
        if scale in known[study].presets:  # else it is refused below, with all other arguments
            if only and config is not None:
                raise InputError("give --only or --config, not both")
            if only:
                configs = select(known[study].presets[scale], only)
            elif config is not None:
                from prunebook.workflow.jobs import configuration

                configs = (configuration(known[study], scale, config),)
            if precision is not None:
                configs = with_precision(configs or known[study].presets[scale], precision)
        options = {"configs": configs, "device": device, "data": data, "fresh": fresh}
        done = collect(known[study], scale, seeds=seed or seeds, report=typer.echo, **options)
        for result in done.results:
            typer.echo(f"{result.path}  {result.record['wall_time']:.1f} s")
        for place, changes in done.stale.items():
            typer.echo(f"outdated: {place}: {'; '.join(changes)} (--fresh measures anew)")
        for notice in done.notices:
            typer.echo(f"notice: {notice}")
        typer.echo(f"{len(done.results)} results, {done.measured} of them measured now")


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        from prunebook.studies.configuration import check_threads

        torch.set_num_threads(check_threads(threads))


@app.command("list")
def list_studies() -> None:
    """Show the studies, and what is stored of each."""
    with _told():
        from prunebook.store.results import Store
        from prunebook.studies.configuration import SCALES
        from prunebook.workflow.doctor import survey

        store = Store()
        for study in _studies().values():
            typer.echo(f"{study.name}: {study.title}")
            for scale in (scale for scale in SCALES if scale in study.presets):
                seen = survey(study, scale, store)
                size = f"{len(study.presets[scale])} configs x {study.seeds[scale]} seeds"
                typer.echo(f"  {scale:<7} {size}, {seen}")
                for trouble in seen.broken:
                    typer.echo(f"          {trouble}")


@app.command()
def plan(
    study: Name,
    scale: Scale = "paper",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seeds: Seeds = None,
    as_json: AsJson = False,
) -> None:
    """Say what is missing of a study, and what it will cost, before anything is started."""
    with _told():
        from prunebook.studies.configuration import seed_list
        from prunebook.workflow.costs import plan as plan_of
        from prunebook.workflow.costs import summary

        known = _studies(study)
        _one_of("scale", scale, known[study].presets)
        _one_of("device", device, ("cpu", "cuda"))
        jobs = plan_of(known[study], scale, device=device, seeds=seeds if seeds is None else seed_list(seeds))
        if as_json:
            typer.echo(json.dumps([dataclasses.asdict(job) for job in jobs], indent=1))
            return
        for job in jobs:
            cost = "unknown" if job.seconds is None else f"{job.seconds / 60:.1f} min a run ({job.source})"
            memory = "" if job.memory is None else f", {job.memory:.0f} MB of memory"
            typer.echo(
                f"{job.config}: {job.missing} of {job.wanted} missing, {cost}{memory}, "
                f"{job.megabytes:.0f} MB of disk a run"
            )
            if job.note:
                typer.echo(f"    {job.note}")
        typer.echo(summary(jobs))


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check the environment, the device, the data and the stored results, and say what to do."""
    with _told():
        from prunebook.workflow.doctor import checkup

        checks = checkup(data)
        if as_json:
            typer.echo(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
        part = ""
        for check in [] if as_json else checks:
            if check.part != part:
                part = check.part
                typer.echo(part)
            typer.echo(f"  {check.status:<9} {check.what}: {check.found}")
            if check.advice:
                typer.echo(f"            -> {check.advice}")
        if any(check.fatal for check in checks):
            raise typer.Exit(1)


@app.command()
def verdicts(as_json: AsJson = False) -> None:
    """Print what became of each claim: the latest edition, with the verdict on the one before."""
    with _told():
        from prunebook.evidence import latest
        from prunebook.evidence import verdicts as all_verdicts

        table = latest(all_verdicts())
        if as_json:
            # Not DataFrame.to_json, which keeps ten decimals and so turns a threshold of 1e-12 into nothing.
            plain = table.astype(object).replace([float("inf"), -float("inf")], float("nan"))
            typer.echo(json.dumps(plain.where(plain.notna(), None).to_dict("records"), indent=1))
            return
        for row in table.to_dict("records"):
            note = " (outdated)" if row["stale"] else ""
            before = f" (before: {row['first']})" if row["first"] else ""
            typer.echo(f"{row['claim']:<8} {row['verdict'] + note:<24} {row['statement']}{before}")


@app.command()
def drift(
    studies: Annotated[list[str] | None, typer.Argument(help="Which; left out: all with a tolerance.")] = None,
    runs: Annotated[int, typer.Option(help="How many results of each study.")] = 1,
    pick: Annotated[int, typer.Option(help="Another number draws other results.")] = 0,
    at_most: Annotated[float | None, _option("Only results that took at most so many minutes.")] = None,
    scale: Scale = "paper",
    device: Device = "auto",
    data: Data = None,
    threads: Threads = None,
) -> None:
    """Measure a sample of the stored results again, and say how far the numbers are."""
    with _told():
        from prunebook.studies.configuration import SCALES
        from prunebook.workflow import drift as drifting

        known, declared = _studies(*(studies or ())), drifting.read_tolerances()
        _one_of("scale", scale, SCALES)
        if at_most is not None and not at_most > 0:
            raise InputError(f"--at-most {at_most:g} must be more than 0 minutes")
        _set_threads(threads)
        options = {"runs": runs, "pick": pick, "at_most": at_most, "device": device, "data": data}
        drifted = False
        for name in studies or drifting.within_reach(known, declared, scale, at_most):
            found = drifting.drift(known[name], scale, report=typer.echo, **options)
            kept = drifting.keep(found)
            for entry in found:
                drifted |= not entry["ok"]
                for row in entry["metrics"]:
                    largest = "a row is missing" if row["largest"] is None else f"{row['largest']:.3g}"
                    typer.echo(
                        f"  {'ok   ' if row['ok'] else 'DRIFT'} {row['table']}, {row['metric']}: largest {largest} "
                        f"{row['unit']}, allowed {row['allowed']:g} in {row['share']:.0%} of {row['rows']} rows; "
                        f"{row['within']:.1%} are within"
                    )
        typer.echo(f"kept in {kept}")
        if drifted:
            raise typer.Exit(1)


@app.command()
def fingerprint(
    studies: Annotated[list[str] | None, typer.Argument(help="Which; left out: all.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Take what is found as the fingerprint.")] = False,
) -> None:
    """Measure the tiny probes of studies, and say what differs from their committed fingerprints."""
    with _told():
        from prunebook.store import fingerprints

        differs, known = False, _studies(*(studies or ()))
        for name in studies or known:
            tables = fingerprints.take(known[name])
            if write:
                fingerprints.write(known[name], tables)
            then, allowed = fingerprints.read(name), fingerprints.tolerances(name)
            told = fingerprints.told(name, fingerprints.differences(then, tables, allowed))
            typer.echo(told or f"{name}: the same")
            differs |= bool(told)
        if differs:
            raise typer.Exit(1)
