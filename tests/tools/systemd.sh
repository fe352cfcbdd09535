#!/usr/bin/env bash
# Starts the unit of deploy/systemd by a real systemd, in a container, and asks what it does.
#
#   tests/tools/systemd.sh RUN [BINARY]
#
# As root: RUN is a directory of checkpoints (tests/fixtures has some). Needs debootstrap, systemd-container.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
run=$(cd "${1:?a directory of checkpoints}" && pwd)
binary=${2:-$here/target/release/weighbridge}
work=$(mktemp -d)
trap 'pkill -KILL -f "systemd-nspawn.*$work" || true; sleep 1; rm -rf --one-file-system "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl,procps bookworm "$work/system" > "$work/debootstrap.log" \
  || fail "$(tail -3 "$work/debootstrap.log")"
# As docs/deploy.md says.
install -m 755 "$binary" "$work/system/usr/bin/weighbridge"
install -d "$work/system/etc/weighbridge" "$work/system/srv/checkpoints"
install -m 600 "$here/deploy/systemd/environment" "$work/system/etc/weighbridge/"
"$binary" check-config --defaults > "$work/system/etc/weighbridge/weighbridge.yml"
install -m 644 "$here"/deploy/systemd/weighbridge.{service,slice} "$work/system/etc/systemd/system/"
cp -r "$run" "$work/system/srv/checkpoints/run"

cat > "$work/system/check" <<'CHECK'
#!/usr/bin/env bash
set -euo pipefail
fail() { echo "FAIL $*"; journalctl --no-pager -u weighbridge | tail -30; exit 1; }
until_true() { for _ in $(seq 150); do ! eval "$1" || return 0; sleep 0.2; done; fail "$1"; }
of() { systemctl show -P "$1" weighbridge; }
metrics() { curl -fsS http://127.0.0.1:10190/metrics; }

systemctl daemon-reload
# Comes back once the daemon said READY.
systemctl enable --now weighbridge 2>&1
until_true 'metrics | grep -q ^weighbridge_run_step'
echo "ready and weighed: $(of StatusText)"

pid=$(of MainPID)
[ "$(ps -o user= -p "$pid")" != root ] || fail "runs as root"
[ "$(of Slice)" = weighbridge.slice ] || fail "is not in its slice"
[ "$(systemctl show -P CPUWeight weighbridge.slice)" = 100 ] || fail "the slice is not the one that is shipped"
echo "user $(ps -o user= -p "$pid"), slice $(of Slice), niceness $(ps -o ni= -p "$pid" | tr -d ' ')"

# What it sees of the file system: its store it may write, and nothing else.
inside() { nsenter -t "$pid" -m "$@"; }
inside touch /var/lib/weighbridge/probe && inside rm /var/lib/weighbridge/probe || fail "cannot write its store"
for place in /srv/checkpoints/run/probe /etc/weighbridge/probe /usr/bin/probe; do
  ! inside touch "$place" 2> /dev/null || fail "$place can be written"
done
echo "its store can be written; checkpoints, configuration and programs can not"

systemctl reload weighbridge
until_true '[ "$(of ActiveState)/$(of SubState)" = active/running ]'
[ "$(of MainPID)" = "$pid" ] || fail "a reload started it again"
echo "reloaded by SIGHUP"

echo 'weigh: {threads: none}' > /etc/weighbridge/other.yml
! weighbridge check-config /etc/weighbridge/other.yml 2> /dev/null || fail "a bad configuration is taken"
cp /etc/weighbridge/weighbridge.yml /etc/weighbridge/good.yml
cp /etc/weighbridge/other.yml /etc/weighbridge/weighbridge.yml
systemctl reload weighbridge || true
sleep 1
[ "$(of MainPID)" = "$pid" ] && metrics > /dev/null || fail "a bad configuration ended it"
cp /etc/weighbridge/good.yml /etc/weighbridge/weighbridge.yml
echo "a bad configuration is refused, and the old one stays"

kill -KILL "$pid"
until_true '[ "$(of NRestarts)" = 1 ] && metrics | grep -q ^weighbridge_run_step'
pid=$(of MainPID)
echo "killed, and started again with what it knew"

# A daemon that hangs: the watchdog's minute is cut to some seconds for the test.
mkdir -p /run/systemd/system/weighbridge.service.d
printf '[Service]\nWatchdogSec=4\n' > /run/systemd/system/weighbridge.service.d/watchdog.conf
systemctl daemon-reload && systemctl restart weighbridge
pid=$(of MainPID)
kill -STOP "$pid"
until_true '[ "$(of MainPID)" != "$pid" ] && metrics > /dev/null'
journalctl --no-pager -u weighbridge | grep -q 'Watchdog timeout' || fail "not by the watchdog"
echo "hung, and started again by the watchdog"

systemctl stop weighbridge
[ "$(of Result)" = success ] || fail "stopped with $(of Result)"
journalctl --no-pager -u weighbridge | tail -5 | grep -q stopped || fail "it did not drain"
echo "drained and stopped"
CHECK
chmod 755 "$work/system/check"
cat > "$work/system/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/check
StandardOutput=file:/said
StandardError=file:/errors
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS > /ended; systemctl --no-block poweroff'
[Install]
WantedBy=graphical.target
UNIT
ln -s ../check.service "$work/system/etc/systemd/system/graphical.target.wants/check.service" 2> /dev/null || {
  mkdir -p "$work/system/etc/systemd/system/graphical.target.wants"
  ln -s ../check.service "$work/system/etc/systemd/system/graphical.target.wants/check.service"
}
timeout 300 systemd-nspawn -D "$work/system" --register=no --keep-unit --boot < /dev/null > "$work/console" 2>&1 || true
cat "$work/system/said"
[ "$(cat "$work/system/ended" 2> /dev/null)" = 0 ] || fail "$(tail -5 "$work/system/errors" "$work/console")"
echo "all of it by $(sed -n 's/^\(systemd [0-9.]*\).*/\1/p' "$work/console" | head -1)"
