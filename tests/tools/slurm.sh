#!/usr/bin/env bash
# What deploy/slurm and deploy/hooks do under a real Slurm: one node, in a directory of its own, on loopback.
#
#   tests/tools/slurm.sh RUN    as root; Debian packages slurmctld slurmd slurm-client munge
#
# Asserts: a job's checkpoints are weighed by the daemon beside it and carry the job's id; the job's exit status
# comes through; the shared daemon runs as a job, takes SIGTERM and is requeued; a critical finding holds the sick job.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
export WEIGHBRIDGE=${WEIGHBRIDGE:-$here/target/release/weighbridge}
for need in slurmctld slurmd munged sbatch curl; do
  command -v "$need" > /dev/null || { echo "needs $need: apt-get install slurmctld slurmd slurm-client munge curl" >&2; exit 2; }
done
# Checkpoints: a directory with some of one run, the last one sick.
source=$(realpath "${1:?directory with checkpoints of one run}")

work=$(mktemp -d /tmp/weighbridge-slurm.XXXXXX)
chmod 755 "$work"
pids=()
cleanup() {
  scancel --user=root 2>/dev/null || true
  sleep 1
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  sleep 1
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; KEEP=1; exit 1; }
wait_for() { # WHAT SECONDS COMMAND…
  local what=$1 left=$2; shift 2
  until "$@" > /dev/null 2>&1; do left=$((left - 1)); [ "$left" -gt 0 ] || fail "waited for $what"; sleep 1; done
}

# munge, with a key and a socket of its own.
mkdir "$work/munge"; chmod 700 "$work/munge"
head -c 1024 /dev/urandom > "$work/munge/key"; chmod 400 "$work/munge/key"
chmod 755 "$work/munge"
munged --foreground --force --key-file "$work/munge/key" --socket "$work/munge/socket" \
  --pid-file "$work/munge/pid" --seed-file "$work/munge/seed" --log-file "$work/munge/log" > /dev/null 2>&1 &
pids+=($!)
wait_for munge 20 test -S "$work/munge/socket"

host=$(hostname -s)
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
mkdir "$work/state" "$work/spool"
cat > "$work/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$work/munge/socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$(port)
SlurmdPort=$(port)
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdParameters=config_overrides
# Suspending a job needs this.
PreemptMode=OFF
KillWait=5
MinJobAge=600
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld -D -f "$SLURM_CONF" > "$work/ctld.out" 2>&1 & pids+=($!)
slurmd -D -f "$SLURM_CONF" -N "$host" > "$work/d.out" 2>&1 & pids+=($!)
idle() { sinfo --noheader --format=%T | grep -q -E 'idle|mixed|allocated'; }
wait_for "the node to be idle" 60 idle
echo "slurm $(sinfo --version | cut -d' ' -f2): node $host is $(sinfo --noheader --format=%T)"

state() { scontrol show job "$1" | grep -o 'JobState=[A-Z_]*' | cut -d= -f2; }
is() { [ "$(state "$1")" = "$2" ]; }

# 1. A daemon inside a job. The "training" copies checkpoints in and ends with status 3.
mkdir "$work/run"
cat > "$work/train" <<SH
#!/usr/bin/env bash
for checkpoint in $source/checkpoint-*; do
  cp -r "\$checkpoint" "$work/run/.part" && mv "$work/run/.part" "$work/run/\${checkpoint##*/}"
done
sleep 8
exit 3
SH
chmod +x "$work/train"
job=$(sbatch --parsable --job-name=inside --output="$work/inside.out" --wrap \
  "$here/deploy/slurm/with-weighbridge $work/run -- $work/train")
wait_for "the daemon's address" 60 test -s "$work/run/.weighbridge/address"
address=$(grep -o '127[^"]*' "$work/run/.weighbridge/address" | head -1)
labelled() { curl -fsS "http://$address/metrics" | grep -q "weighbridge_run_step{.*slurm_job_id=\"$job\""; }
wait_for "a gauge with the job's id" 300 labelled
echo "inside a job: gauges carry slurm_job_id=$job"
wait_for "the job to end" 600 is "$job" FAILED
scontrol show job "$job" | grep -q 'ExitCode=3:0' || fail "the job's exit status is $(scontrol show job "$job" | grep -o 'ExitCode=[0-9:]*')"
weighed=$(grep -c 'checkpoint weighed' "$work/run/.weighbridge/log")
[ "$weighed" = "$(ls -d "$source"/checkpoint-* | wc -l)" ] || fail "$weighed checkpoints weighed"
grep -q stopped "$work/run/.weighbridge/log" || fail "the daemon did not end by itself"
echo "inside a job: $weighed checkpoints weighed before the job ended with the training's own status 3"

# 2. One daemon for a shared file system, as a job; an address for others is refused without users.
mkdir "$work/all"
refused=$(LISTEN=0.0.0.0:0 WATCH=$work/all STORE=$work/store sbatch --parsable --output="$work/refused.out" "$here/deploy/slurm/shared.sbatch")
wait_for "the refusal" 60 is "$refused" FAILED
grep -q 'needs users' "$work/refused.out" || fail "no reason for the refusal"
# The hook is configured here, and only here: it is off otherwise.
printf 'export:\n  targets:\n    - {name: hold, kind: command, severity_min: warning, resolved: false, command: [%s, requeuehold]}\n' \
  "$here/deploy/hooks/slurm-hold" > "$work/hook.yml"
shared=$(CONFIG=$work/hook.yml LISTEN=127.0.0.1:0 WATCH=$work/all STORE=$work/store \
  sbatch --parsable --output="$work/shared.out" "$here/deploy/slurm/shared.sbatch")
wait_for "the shared daemon" 60 grep -q '"message":"watching"' "$work/shared.out"

# 3. A run falls sick: its job, named as the run is, goes back to the queue and is held there.
sick=$(sbatch --parsable --job-name=sick --requeue --output="$work/sick.out" --wrap \
  "mkdir -p $work/all/sick; for c in $source/checkpoint-*; do [ -e $work/all/sick/\${c##*/} ] || { cp -r \$c $work/all/sick/.part && mv $work/all/sick/.part $work/all/sick/\${c##*/}; }; done; sleep 600")
held() { scontrol show job "$sick" | grep -q -E 'Reason=(JobHeldUser|JobHeldAdmin|job_requeued_in_held_state)|JobState=REQUEUE_HOLD'; }
wait_for "the sick job to be held" 300 held
echo "hook: $(grep -o '"message":"finding opened"[^}]*"detector":"[a-z_]*"' "$work/shared.out" | grep -o '[a-z_]*"$' | head -1 | tr -d '"') put job $sick on hold ($(scontrol show job "$sick" | grep -o 'Reason=[A-Za-z_]*'))"

# 4. The shared daemon drains on SIGTERM, and a requeued one goes on with its store.
scontrol requeue "$shared"
wait_for "the drain" 60 grep -q '"message":"stopped"' "$work/shared.out"
again() { [ "$(grep -c '"message":"watching"' "$work/shared.out")" -ge 1 ] && is "$shared" RUNNING && scontrol show job "$shared" | grep -q 'Restarts=[1-9]'; }
wait_for "the requeued daemon" 180 again
echo "shared: drained on requeue and went on as job $shared"
echo "all passed with slurm $(sinfo --version | cut -d' ' -f2)"
