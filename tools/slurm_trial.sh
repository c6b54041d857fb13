#!/bin/bash
# Runs the smoke grid of every study on a SLURM of one node, kills a job and asks again, and compares with a plain run.
#
#   sudo tools/slurm_trial.sh [FOLDER]        (FOLDER: _build/slurm-trial)
#
# Debian or Ubuntu. Installs SLURM and munge where they are missing; keeps configuration, keys, state and results in FOLDER;
# stops its daemons at the end. What happened is written to FOLDER/report.md. Exit code 0: all went as it should.
set -euo pipefail
cd "$(dirname "$0")/.."
FOLDER=$(realpath -m "${1:-_build/slurm-trial}")
PYTHON=.venv/bin/python
REPORT=$FOLDER/report.md

die() { echo "slurm_trial: $*" >&2; exit 1; }
say() { echo; echo "== $*"; }
tell() { echo "- $*" | tee -a "$REPORT"; }

[ "$(id -u)" = 0 ] || die "must be run as root: it installs packages and starts daemons"
if [ -e "$FOLDER" ] && [ ! -e "$FOLDER/report.md" ] && [ -n "$(ls -A "$FOLDER")" ]; then
    die "$FOLDER is not empty and is not of an earlier trial: name another folder"
fi
rm -rf "$FOLDER"
mkdir -p "$FOLDER"/{munge,state,spool,slurm,local}
chmod 755 "$FOLDER"
printf '# One-node SLURM trial\n\n' > "$REPORT"

say "packages"
if ! command -v slurmctld slurmd sbatch munged > "$FOLDER/found.log"; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge python3-venv make
fi
if [ ! -x .venv/bin/snakemake ]; then
    make ".venv/ready-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
fi
tell "$(slurmctld -V), $($PYTHON -c 'from importlib.metadata import version as v
print("snakemake", v("snakemake"), "with its slurm plugin", v("snakemake-executor-plugin-slurm"))')"

say "daemons"
# munge insists on folders that nobody else can write to, so it gets its own, owned by root.
dd if=/dev/urandom of="$FOLDER/munge/key" bs=128 count=1 status=none
chmod 700 "$FOLDER/munge" && chmod 400 "$FOLDER/munge/key"
HOST=$(hostname -s) CPUS=$(nproc) MEMORY=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
sed -e "s|@HOST@|$HOST|g; s|@FOLDER@|$FOLDER|g; s|@CPUS@|$CPUS|; s|@MEMORY@|$MEMORY|" \
    tools/slurm/slurm.conf > "$FOLDER/slurm.conf"
export SLURM_CONF=$FOLDER/slurm.conf
# Inside of a job snakemake takes SLURM's variables from srun, this one among them; it is put back on the way.
mkdir "$FOLDER/bin"
printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(command -v srun)" > "$FOLDER/bin/srun"
chmod 755 "$FOLDER/bin/srun"
export PATH=$FOLDER/bin:$PATH
WORKFLOW=
stop() {
    status=$?
    [ -z "$WORKFLOW" ] || kill "$WORKFLOW" || true
    for name in slurmd slurmctld munge/munged; do
        if [ -s "$FOLDER/$name.pid" ]; then kill "$(cat "$FOLDER/$name.pid")" || true; fi
    done
    [ "$status" = 0 ] || echo "slurm_trial: FAILED; logs are in $FOLDER" >&2
}
trap stop EXIT
munged --force --key-file="$FOLDER/munge/key" --socket="$FOLDER/munge/socket" --pid-file="$FOLDER/munge/munged.pid" \
    --log-file="$FOLDER/munge/munged.log" --seed-file="$FOLDER/munge/seed"
chmod 711 "$FOLDER/munge"
slurmctld
slurmd
for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%T)" = idle ]; then break; fi
    sleep 1
done
sinfo
[ "$(sinfo --noheader --format=%T)" = idle ] || die "the node did not come up: see $FOLDER/slurmctld.log and slurmd.log"
tell "one node, $CPUS CPUs, $MEMORY MB; no cgroups, no accounting database"

say "the smoke grid as SLURM jobs, one of which is killed"
export OMP_NUM_THREADS=1 PRUNEBOOK_RESULTS=$FOLDER/slurm/results PRUNEBOOK_CACHE=$FOLDER/slurm/cache
# Data sets that are here already are used; without them and without a network the stand-ins take their place.
GRID=(.venv/bin/snakemake --profile profiles/slurm --retries 0 --latency-wait 10 --jobs "$CPUS"
    --slurm-status-command squeue --slurm-init-seconds-before-status-checks 5 --slurm-logdir "$FOLDER/slurm/logs"
    runs --config scale=smoke "output=$FOLDER/slurm/build")
start() { "${GRID[@]}" > "$1" 2>&1 & WORKFLOW=$!; }
finish() { local code=0; wait "$WORKFLOW" || code=$?; WORKFLOW=; return "$code"; }
start "$FOLDER/slurm/first.log"
# The victim: the first run that trains a convolutional network, by its own log.
VICTIM=
while [ -z "$VICTIM" ] && kill -0 "$WORKFLOW" 2> /dev/null; do
    LOG=$(grep -ls 'training step' "$FOLDER"/slurm/build/logs/smoke/mr-*.log | head -n 1) || true
    if [ -n "$LOG" ]; then
        ADDRESS=$(basename "$LOG" | grep -oE '[0-9a-f]{12}')
        VICTIM=$(squeue --noheader --states=RUNNING --format='%i %k' | awk -v a="_${ADDRESS}_" '$2 ~ a {print $1; exit}')
    fi
    sleep 0.1
done
[ -n "$VICTIM" ] || die "the workflow ended before a training could be killed: see $FOLDER/slurm/first.log"
WHAT=$(squeue --noheader --jobs="$VICTIM" --format=%k)
scancel --signal=KILL --full "$VICTIM"
if finish; then die "the workflow did not notice that job $VICTIM was killed"; fi
tell "killed with SIGKILL while it worked: $WHAT; its last words:$(tail -n 1 "$LOG" | cut -d '|' -f 3-)"
tell "the other jobs went on, and snakemake ended with an error"
LEFT=$($PYTHON tools/compare_results.py "$PRUNEBOOK_RESULTS") || die "a result is broken after the kill: $LEFT"
tell "after the kill: $LEFT"

say "the same command again"
start "$FOLDER/slurm/second.log"
finish || die "the second call failed: see $FOLDER/slurm/second.log"
tell "asked again: $(grep -c 'has been submitted with SLURM jobid' "$FOLDER/slurm/first.log") jobs in the first call, \
$(grep -c 'has been submitted with SLURM jobid' "$FOLDER/slurm/second.log") in the second"
grep -h 'training goes on' "$FOLDER"/slurm/build/logs/smoke/*.log | sed 's/^/  - /' | tee -a "$REPORT" || true

say "the same runs, plainly"
export PRUNEBOOK_RESULTS=$FOLDER/local/results PRUNEBOOK_CACHE=$FOLDER/local/cache
for study in $($PYTHON -c 'from prunebook.studies import STUDIES; print(*STUDIES)'); do
    .venv/bin/prunebook run "$study" --scale smoke --threads 1 >> "$FOLDER/local/runs.log" 2>&1 \
        || die "the plain run of $study failed: see $FOLDER/local/runs.log"
done
SAME=$($PYTHON tools/compare_results.py "$FOLDER/slurm/results" "$FOLDER/local/results") || die "$SAME"
tell "against plain runs of all studies: $SAME"
say "done: $REPORT"
