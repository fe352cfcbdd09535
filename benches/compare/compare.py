#!/usr/bin/env python3
"""weighbridge, a numpy/scipy/scikit-learn analysis and WeightWatcher, in one run on the same file.

    python -m venv venv && venv/bin/pip install -r benches/compare/requirements.txt
    cargo build --release
    venv/bin/python benches/compare/compare.py [FILE.safetensors] [--rounds 3] [--write docs/benchmarks.md]

Without FILE it makes one of GPT-2 small's shapes (124 M elements), with weights that look trained, one
as freshly initialised, and a bf16 copy, in a directory that it deletes again.

What makes it fair: every contender is a process of its own and reads the file itself; all may use all
processors; the file is read before each run, so that all find it in memory; rounds go through the contenders in
turn, so that what else the machine does meets all alike; time to start and to import counts for all, and
is given apart for Python (the row "python, imports only"); of each contender the round with the least
processor time counts. Processor time is user and system time of the process and its children.
"""
import argparse, json, os, platform, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


# ---- files ------------------------------------------------------------------------------------------

def shapes():
    yield "wte.weight", (50257, 768)
    yield "wpe.weight", (1024, 768)
    for layer in range(12):
        for name, shape in (("ln_1.weight", (768,)), ("ln_1.bias", (768,)), ("attn.c_attn.weight", (768, 2304)),
                            ("attn.c_attn.bias", (2304,)), ("attn.c_proj.weight", (768, 768)),
                            ("attn.c_proj.bias", (768,)), ("ln_2.weight", (768,)), ("ln_2.bias", (768,)),
                            ("mlp.c_fc.weight", (768, 3072)), ("mlp.c_fc.bias", (3072,)),
                            ("mlp.c_proj.weight", (3072, 768)), ("mlp.c_proj.bias", (768,))):
            yield f"h.{layer}.{name}", shape
    yield "ln_f.weight", (768,)
    yield "ln_f.bias", (768,)


def weights(kind):
    """Fresh: normal, std 0.02. Trained: t with 7 degrees of freedom, rows and columns of different scale."""
    import numpy as np
    g = np.random.default_rng(0)
    for name, shape in shapes():
        if len(shape) == 1:
            x = np.full(shape, float(".ln_" in name and name.endswith("weight") or name == "ln_f.weight"))
            x += g.standard_normal(shape) * 0.05 * (kind == "trained")
        elif kind == "fresh":
            x = g.standard_normal(shape, dtype=np.float32) * 0.02
        else:
            x = g.standard_normal(shape, dtype=np.float32) / np.sqrt(g.chisquare(7, size=shape).astype(np.float32) / 7)
            x *= 0.1 * np.exp(0.3 * g.standard_normal((shape[0], 1))) * np.exp(0.15 * g.standard_normal((1, shape[1])))
        yield name, np.ascontiguousarray(x, dtype=np.float32)


def write(path, kind, bf16=False):
    import numpy as np
    header, parts, offset = {}, [], 0
    for name, x in weights(kind):
        if bf16:  # round to nearest even
            bits = x.view(np.uint32)
            data = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
        else:
            data = x.tobytes()
        header[name] = {"dtype": "BF16" if bf16 else "F32", "shape": list(x.shape), "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head)
        for part in parts:
            f.write(part)
        # What the system still writes back while the first contender runs would be counted as its time.
        f.flush()
        os.fsync(f.fileno())


def load(path):
    """Tensors as float32 arrays."""
    import numpy as np
    raw = np.fromfile(path, dtype=np.uint8)
    length = int(raw[:8].view(np.uint64)[0])
    out = {}
    for name, t in json.loads(raw[8:8 + length].tobytes()).items():
        if name == "__metadata__":
            continue
        a, b = (8 + length + o for o in t["data_offsets"])
        if t["dtype"] == "BF16":
            x = (raw[a:b].view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif t["dtype"] == "F32":
            x = raw[a:b].view(np.float32)
        else:
            raise SystemExit(f"{name}: this script reads F32 and BF16, not {t['dtype']}")
        out[name] = x.reshape(t["shape"])
    return out


# ---- contenders, each run as `compare.py --contender NAME FILE`; they print what they covered ----------

def read_and_sum(path, threads=1):
    """The disk reference: read and add up, nothing else."""
    import numpy as np
    from concurrent.futures import ThreadPoolExecutor
    size, block = os.path.getsize(path), 1 << 20

    def part(k):
        buffer, total, fd = bytearray(block), 0.0, os.open(path, os.O_RDONLY)
        view = np.frombuffer(buffer, dtype=np.float32)
        for offset in range(k * block, size - block, threads * block):
            os.preadv(fd, [buffer], offset)
            total += float(view.sum())
        os.close(fd)
        return total

    with np.errstate(all="ignore"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, range(threads)))
    return {}


def elements(x):
    """What the analysis looks at in a tensor's elements, with the obvious calls."""
    import numpy as np
    from scipy import stats
    flat = x.ravel().astype(np.float64)
    mean, std = flat.mean(), flat.std()
    out = dict(elements=flat.size, nan=np.isnan(flat).sum(), inf=np.isinf(flat).sum(), zero=(flat == 0).sum(), mean=mean, std=std,
               min=flat.min(), max=flat.max(), rms=np.sqrt((flat * flat).mean()))
    if std > 0 and flat.size >= 8:
        out |= dict(skewness=stats.skew(flat), kurtosis=stats.kurtosis(flat),
                    ks=stats.kstest(flat, "norm", args=(mean, std)).statistic,
                    mad=stats.median_abs_deviation(flat))
        for p, q in zip((.001, .01, .05, .25, .5, .75, .95, .99, .999), np.quantile(flat, (.001, .01, .05, .25, .5, .75, .95, .99, .999))):
            out[f"q{p}"] = q
        e = np.quantile(flat, np.arange(1, 8) / 8)
        out |= dict(moors=((e[6] - e[4]) + (e[2] - e[0])) / (e[5] - e[1]), bowley=(e[5] + e[1] - 2 * e[3]) / (e[5] - e[1]))
    if x.ndim == 2:
        variance = x.var(axis=1, dtype=np.float64)
        out |= {f"row_variance_{p}": v for p, v in zip((0, 25, 50, 75, 100), np.percentile(variance, (0, 25, 50, 75, 100)))}
        for axis in (0, 1):
            rms = np.sqrt((x.astype(np.float64) ** 2).mean(axis=axis))
            out[f"rms_ratio_{axis}"] = rms.max() / np.median(rms)
    return out


def numpy_elements(path):
    tensors = load(path)
    values = [len(elements(x)) for x in tensors.values()]
    return {"tensors": len(values), "values": sum(values)}


def numpy_everything(path):
    """The elements, and spectrum and principal components of every matrix."""
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    tensors = load(path)
    values = 0
    for x in tensors.values():
        values += len(elements(x))
        if x.ndim == 2:
            s = np.linalg.svd(x.astype(np.float64), compute_uv=False)
            share = s / s.sum()
            spectrum = dict(spectral=s[0], stable=(s * s).sum() / s[0] ** 2, effective=np.exp(-(share * np.log(share)).sum()),
                            rank=(s > s[0] * max(x.shape) * 2.0 ** -23).sum())
            ratio = PCA().fit(StandardScaler().fit_transform(x.astype(np.float64))).explained_variance_ratio_
            values += len(spectrum) + len((ratio[0], np.searchsorted(ratio.cumsum(), 0.9) + 1))
    return {"tensors": len(tensors), "values": values}


def weightwatcher(path):
    """As its documentation says: analyze() of a model, with its defaults."""
    import logging, warnings
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    import torch
    import weightwatcher as ww

    class Model(torch.nn.Module):
        def __init__(self, tensors):
            super().__init__()
            for name, x in tensors.items():
                if x.ndim != 2:
                    continue  # it has no layer type for them
                embedding = name.startswith(("wte", "wpe")) or "embed" in name
                layer = torch.nn.Embedding(*x.shape) if embedding else torch.nn.Linear(x.shape[1], x.shape[0], bias=False)
                layer.weight.data = torch.from_numpy(x.copy())
                self.add_module(name.replace(".", "_"), layer)

    tensors = load(path)
    with open(os.devnull, "w") as null:
        out, sys.stdout = sys.stdout, null
        details = ww.WeightWatcher(model=Model(tensors)).analyze()
        sys.stdout = out
    numeric = details.select_dtypes("number")
    return {"tensors": int(details["alpha"].notna().sum()) if "alpha" in details else len(details), "values": int(numeric.notna().sum().sum())}


def imports(_path):
    import numpy, scipy.stats, sklearn.decomposition  # noqa: F401
    return {}


CONTENDERS = {
    "sum": read_and_sum, "sum2": lambda path: read_and_sum(path, os.cpu_count()), "imports": imports,
    "elements": numpy_elements, "everything": numpy_everything, "weightwatcher": weightwatcher,
}


# ---- measuring ----------------------------------------------------------------------------------------

def run(command):
    """Wall seconds, processor seconds, peak memory in MB, output."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begin
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed with {process.returncode}")
        out.seek(0)
        return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, out.read()


def covered(output):
    """Tensors with values, and values."""
    if not output.strip():
        return "", ""
    found = json.loads(output)
    if isinstance(found.get("tensors"), list):
        metrics = sum(len(t["metrics"]) for t in found["tensors"])
        heads = sum(sum(isinstance(v, (int, float)) for v in h.values()) - 1 for l in found["layers"] for h in l.get("heads", ()))
        return str(len(found["tensors"])), str(metrics + heads)
    return tuple(str(found.get(key, "")) for key in ("tensors", "values"))


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
    memory = int(next(l.split()[1] for l in open("/proc/meminfo") if l.startswith("MemTotal"))) / 1e6
    load = " ".join(open("/proc/loadavg").read().split()[:3])
    return f"{cpu}, {os.cpu_count()} processors, {memory:.0f} GB, Linux {platform.release()}, load average {load}"


def versions():
    from importlib.metadata import PackageNotFoundError, version
    found = [f"Python {platform.python_version()}"]
    for package in ("numpy", "scipy", "scikit-learn", "torch", "weightwatcher"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def measure(files, binary, rounds, skip, no_rows):
    me = [sys.executable, __file__, "--contender"]
    jobs, paths = [], dict(files)  # (file, label, command)
    for index, (what, path) in enumerate(files):
        ours = [binary, "inspect", path, "--format", "json"]
        jobs += [(what, "bare read and sum, one thread", me + ["sum", path]),
                 (what, "bare read and sum, all processors", me + ["sum2", path]),
                 (what, "weighbridge, elements, shape and rows", ours + ["--tier", "1"]),
                 (what, "weighbridge, elements and shape", ours + ["--tier", "1", "--config", no_rows])]
        if index == 0:
            jobs += [(what, "weighbridge, everything", ours),
                     (what, "weighbridge, elements and spectra", ours + ["--spectra"]),
                     (what, "python, imports only", me + ["imports", path]),
                     (what, "numpy and scipy, elements and rows", me + ["elements", path]),
                     (what, "numpy, scipy and scikit-learn, everything", me + ["everything", path]),
                     (what, "WeightWatcher, its default columns", me + ["weightwatcher", path])]
    jobs = [job for job in jobs if not any(word in job[1] for word in skip)]
    best = {}
    for number in range(rounds):
        for key in jobs:
            # What takes half a minute is not repeated: its scatter is no matter beside its length.
            if number and best[id(key)][1] > 30:
                continue
            # All read it from memory.
            warm(paths[key[0]])
            result = run(key[2])
            print(f"round {number + 1}: {key[0]}: {key[1]}: {result[0]:.2f} s, processor {result[1]:.2f} s, {result[2]:.0f} MB",
                  file=sys.stderr, flush=True)
            if id(key) not in best or result[1] < best[id(key)][1]:
                best[id(key)] = result
    return [(what, label, *best[id(key)]) for key in jobs for what, label, _ in [key]]


def kind(label):
    """Which of our rows a row is held against: WeightWatcher's columns come from spectra."""
    if "everything" in label:
        return "everything"
    if label.endswith("elements and shape"):
        return "shape"
    return "spectra" if "spectra" in label or "WeightWatcher" in label else "elements"


def warm(path):
    with open(path, "rb") as f:
        while f.read(1 << 22):
            pass


def table(rows):
    reference = {}
    for what, label, wall, cpu, _, _ in rows:
        if label.startswith("weighbridge"):
            reference.setdefault(what, {})[kind(label)] = (wall, cpu)
    lines = ["| file | what | wall s | processor s | peak MB | tensors | values | times our wall | times our processor |",
             "|---|---|---|---|---|---|---|---|---|"]
    for what, label, wall, cpu, peak, output in rows:
        ours = reference.get(what, {})
        ours = ours.get(kind(label))
        ratios = f"{wall / ours[0]:.2f} | {cpu / ours[1]:.2f}" if ours else " | "
        tensors, values = covered(output)
        lines.append(f"| {what} | {label} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {tensors} | {values} | {ratios} |")
    return "\n".join(lines)


START, END = "<!-- measured -->", "<!-- end -->"


def main():
    if sys.argv[1:2] == ["--contender"]:
        print(json.dumps(CONTENDERS[sys.argv[2]](sys.argv[3])))
        return
    if sys.argv[1:2] == ["--make"]:
        write(sys.argv[2], sys.argv[3], "bf16" in sys.argv[4:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--binary", default=ROOT / "target/release/weighbridge")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", action="append", default=[], metavar="WORD", help="leave out what has WORD in its name")
    parser.add_argument("--write", metavar="FILE", help="put the table between the marks of this page")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        files = [(Path(a.file).name, a.file)] if a.file else []
        if not files:
            for what, kind, bf16 in (("trained f32", "trained", False), ("fresh f32", "fresh", False), ("trained bf16", "trained", True)):
                path = Path(directory) / (what.replace(" ", "_") + ".safetensors")
                # By a process of its own: a child's peak memory begins at what its parent holds.
                subprocess.run([sys.executable, __file__, "--make", path, kind, *["bf16"] * bf16], check=True)
                files.append((what, str(path)))
        no_rows = Path(directory) / "no_rows.yaml"
        no_rows.write_text("weigh: {rows: false}\n")
        before = machine()
        text = f"{before}.\n{versions()}.\n\n" + table(measure(files, a.binary, a.rounds, a.skip, str(no_rows)))
    print(text)
    if a.write:
        page = Path(a.write).read_text()
        head, rest = page.split(START)
        Path(a.write).write_text(f"{head}{START}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
