#!/usr/bin/env python3
"""Time and processor time of a scrape with 50,000 series, at rest and while a checkpoint is weighed.

    python3 benches/scrape/measure.py RUNS [WEIGHBRIDGE]

RUNS holds runs with checkpoints; their newest ones are linked until the cap on series bites. Processor time is what
counts on a machine that does other things too: it is read from the daemon's own `process_cpu_seconds_total`.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

CAP, SCRAPES = 50_000, 40


def get(url, compressed=False):
    headers = {"Accept-Encoding": "gzip"} if compressed else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.read()


def value(scrape, name):
    found = re.search(rf"^weighbridge_{name}(?:{{.*}})? (\S+)$", scrape, re.M)
    return float(found.group(1)) if found else 0.0


def cpu(pid):
    """Seconds of user and system time so far."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(url, pid, compressed):
    before, begun, times = cpu(pid), time.perf_counter(), []
    for _ in range(SCRAPES):
        start = time.perf_counter()
        body = get(url, compressed)
        times.append(time.perf_counter() - start)
    spent = (cpu(pid) - before) / SCRAPES
    return statistics.median(times), min(times), spent, len(body), time.perf_counter() - begun


def main():
    runs = os.path.realpath(sys.argv[1])
    binary = sys.argv[2] if len(sys.argv) > 2 else "target/release/weighbridge"
    listed = subprocess.run([binary, "explain"], capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as work:
        root = os.path.join(work, "runs")
        sources = []
        for run in sorted(os.listdir(runs)):
            steps = [c for c in os.listdir(os.path.join(runs, run)) if c.startswith("checkpoint-")]
            if steps:
                sources.append((run, max(steps, key=lambda name: int(name.rsplit("-", 1)[1]))))
        for copy in range(int(os.environ.get("COPIES", "1"))):
            for run, step in sources:
                target = os.path.join(root, f"{run}-{copy}")
                os.makedirs(target)
                subprocess.run(["cp", "-r", os.path.join(runs, run, step), target], check=True)
        names = [name for name in re.findall(r"^\s*([a-z][a-z0-9_]+)\s", listed, re.M)]
        config = os.path.join(work, "config.yml")
        good = []
        for name in dict.fromkeys(names):
            open(config, "w").write("export:\n  tensor_metrics: [%s]\n" % name)
            if subprocess.run([binary, "check-config", config], capture_output=True).returncode == 0:
                good.append(name)
        open(config, "w").write(
            "weigh: {tier: 1}\nexport:\n  series_max: %d\n  tensor_metrics: [%s]\n" % (CAP, ", ".join(good))
        )
        log = open(os.path.join(work, "log"), "w+")
        daemon = subprocess.Popen(
            [binary, "watch", root, "--store", os.path.join(work, "store"), "--config", config,
             "--listen", "127.0.0.1:0"], stderr=log)
        try:
            url = None
            while url is None:
                time.sleep(0.2)
                found = re.search(r'listen="([^"]+)"', open(log.name).read())
                url = found and f"http://{found.group(1)}/metrics"
            while True:
                scrape = get(url).decode()
                if value(scrape, "ready") == 1 and value(scrape, "queue_checkpoints") == 0:
                    break
                time.sleep(1)
            time.sleep(3)
            scrape = get(url).decode()
            series = sum(1 for line in scrape.splitlines() if line and not line.startswith("#"))
            print(f"{series} series, {len(scrape) / 1e6:.1f} MB, {value(scrape, 'series_dropped_total'):.0f} left out by the cap")
            for compressed in (False, True):
                median, least, spent, size, _ = timed(url, daemon.pid, compressed)
                print(f"{'gzip ' if compressed else 'plain'}: median {median * 1e3:.0f} ms, least {least * 1e3:.0f} ms, "
                      f"processor time {spent * 1e3:.0f} ms a scrape, {size / 1e6:.1f} MB")
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main()
