# The grid as jobs: for many processes on one machine, or many machines. Nothing needs this file: `prunebook run`, papermill
# and `make book` do the same, one after the other.
#
#   snakemake --profile profiles/local runs --config scale=laptop
#   snakemake --profile profiles/slurm runs --config scale=paper device=cuda
#
# Jobs are what the store of results does not hold. Snakemake's own bookkeeping decides nothing: receipts of finished jobs
# lie in a folder of this one call and are removed at its end.

import shutil
import sys
import uuid
from functools import cache
from pathlib import Path

from prunebook.workflow import jobs as flow
from prunebook.errors import InputError
from prunebook.paths import ROOT

try:
    ASKED = flow.request(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

CALL = uuid.uuid4().hex[:8]  # jobs on other machines read this file again, and get the call from their wildcards
PAGES = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.py"))}
OUTPUT = ASKED.output
RECEIPT = OUTPUT + "/workflow/{call}"
LOGS = f"{OUTPUT}/logs/{ASKED.scale}"
# At the paper scale a page shows all that has been measured, however many seeds that is.
SEEDS = ["--seeds", str(list(ASKED.seeds))] if ASKED.seeds and ASKED.scale != "paper" else []
BIN = Path(sys.executable).parent  # of the environment that Snakemake itself runs in
DATA = ["--data", ASKED.data] if ASKED.data else []
# Kubernetes wants to know whose GPU it is, and takes a limit for one only where limits are set at all (scale=0).
GPU = {"gpu": 1, "gpu_manufacturer": "nvidia", "scale": 0} if ASKED.device == "cuda" else {}


@cache
def missing(studies=None):
    return flow.missing(ASKED, studies)


def receipts(runs, call):
    return [f"{OUTPUT}/workflow/{call}/run/{run.study}/{run.config}/{run.seed}" for run in runs]


def of_run(wildcards):
    return flow.Run(wildcards.study, wildcards.address, int(wildcards.seed))


wildcard_constraints:
    call="[0-9a-f]{8}",
    study="[a-z0-9-]+",
    address="[0-9a-f]{12}",
    seed="[1-9][0-9]*",
    page="|".join(PAGES),


localrules:
    runs,
    ledger,
    book,


onsuccess:
    shutil.rmtree(f"{OUTPUT}/workflow/{CALL}", ignore_errors=True)


onerror:
    shutil.rmtree(f"{OUTPUT}/workflow/{CALL}", ignore_errors=True)


# Everything that has not been measured yet.
rule runs:
    input:
        receipts(missing(), CALL),


# One configuration, one seed: a table and its record, in the store. A stopped training goes on from its last snapshot.
rule run:
    output:
        touch(RECEIPT + "/run/{study}/{address}/{seed}"),
    input:
        lambda wildcards: receipts(flow.before(ASKED, of_run(wildcards), missing()), wildcards.call),
    log:
        LOGS + "/{study}-{address}-seed-{seed}-{call}.log",
    threads: ASKED.threads
    resources:
        runtime=lambda wildcards, attempt: flow.needs(ASKED, of_run(wildcards), attempt)["runtime"],
        mem_mb=lambda wildcards, attempt: flow.needs(ASKED, of_run(wildcards), attempt)["mem_mb"],
        **GPU,
    shell:
        "{BIN}/prunebook run {wildcards.study} --scale {ASKED.scale} --config {wildcards.address} --seed {wildcards.seed}"
        " --device {ASKED.device} --threads {threads} --exclusive {DATA:q} > {log:q} 2>&1"


# One page, executed.
rule page:
    output:
        touch(RECEIPT + "/page/{page}"),
    input:
        lambda wildcards: receipts(missing(flow.shown(PAGES[wildcards.page])), wildcards.call),
    resources:
        runtime=60,
        mem_mb=flow.MEGABYTES,
    shell:
        "{BIN}/python {ROOT}/book/build.py --page {wildcards.page} --scale {ASKED.scale}"
        " {SEEDS:q} {DATA:q} --output {OUTPUT:q}"


# What became of each claim, from the results of the paper scale.
rule ledger:
    output:
        touch(RECEIPT + "/ledger"),
    input:
        lambda wildcards: receipts(missing(), wildcards.call),
    shell:
        "mkdir -p {OUTPUT:q} && {BIN}/prunebook verdicts --json > {OUTPUT:q}/verdicts.part"
        " && mv {OUTPUT:q}/verdicts.part {OUTPUT:q}/verdicts.json"


# All pages, laid out as a book.
rule book:
    input:
        expand(RECEIPT + "/page/{page}", page=PAGES, call=CALL),
        f"{OUTPUT}/workflow/{CALL}/ledger",
    shell:
        "{BIN}/python {ROOT}/book/build.py --laid-out --scale {ASKED.scale} --output {OUTPUT:q}"
