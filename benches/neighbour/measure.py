#!/usr/bin/env python3
"""What a training job loses to a daemon that weighs its checkpoints on the same two cores.

    python3 benches/neighbour/measure.py [--weighbridge BINARY] [--tier 1] [--interval 60] [--window 6] [--pairs 20]

A real training loop (torch, two threads, two cores) runs without a break, and beside it one daemon, with NICENESS and idle disk
priority as in the shipped unit, on the same two cores. At the begin of each window a checkpoint of the size of GPT-2 small
(124 million parameters, 498 MB) is written by the same writer: into the directory that the daemon watches, or into one beside it,
which it does not know. The two kinds of windows alternate, in the order with, without, without, with, ..., so that a drift of the
machine falls on both. Steps are counted per window.

What a weighing costs is the same whenever it comes, as long as it ends within its window (this is checked): so windows may be
shorter than the interval between checkpoints that the figure is for, which tells small losses from the machine's own noise in less
time: the loop's own speed drifts by a tenth within twenty seconds, so that pairs of windows of 12 s differ two to three times more
than those of 6 s. Between windows what was written is put on the disk, as the system does by itself within half a minute. Printed
are the loss of each pair of windows, and from all of them the steps' time that one checkpoint costs and what that is of INTERVAL
seconds, with standard errors. The same from the windows "without" alone, taken as pairs of neighbours, is the null value: what the
method finds where there is nothing. On a machine that does other things too the figures mean little.

    ... --tier 1 --interval 60                  every checkpoint by one pass over all elements
    ... --tier 3 --interval 900 --window 40     everything there is, every 15 minutes

Needs torch, numpy and safetensors; 3 GB of disk.
"""

import argparse
import bisect
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

VARIANTS = 3


def train(log_path, cores, threads):
    """The job: a small language model on synthetic text, one time stamp a step."""
    import torch

    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    width, context, vocabulary = 256, 128, 2048
    layer = torch.nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True, norm_first=True)
    body, words = torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), torch.nn.Embedding(vocabulary, width)
    head = torch.nn.Linear(width, vocabulary)
    parameters = [p for part in (body, words, head) for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-4)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(context)
    text = torch.randint(vocabulary, (200_000,))
    with open(log_path, "wb", buffering=0) as log:
        while True:
            starts = torch.randint(len(text) - context - 1, (4,))
            batch = torch.stack([text[s : s + context + 1] for s in starts])
            scores = head(body(words(batch[:, :-1]), mask=mask, is_causal=True))
            loss = torch.nn.functional.cross_entropy(scores.reshape(-1, vocabulary), batch[:, 1:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log.write(struct.pack("d", time.monotonic()))


def make_checkpoints(work, kind):
    """Three checkpoints of GPT-2 small's shapes that lie a little apart; a writer copies one after the other.

    Fresh: normal. Trained: Student's t with 7 degrees of freedom, rows and columns of different scale."""
    import numpy as np
    from safetensors.numpy import save_file

    rng = np.random.default_rng(1)
    shapes = {"transformer.wte.weight": (50257, 768), "transformer.wpe.weight": (1024, 768),
              "transformer.ln_f.weight": (768,), "transformer.ln_f.bias": (768,)}
    for at in range(12):
        name = f"transformer.h.{at}."
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{name}{norm}.weight": (768,), f"{name}{norm}.bias": (768,)}
        for part, rows, columns in (("attn.c_attn", 768, 2304), ("attn.c_proj", 768, 768),
                                    ("mlp.c_fc", 768, 3072), ("mlp.c_proj", 3072, 768)):
            shapes |= {f"{name}{part}.weight": (rows, columns), f"{name}{part}.bias": (columns,)}

    def values(shape):
        x = rng.standard_normal(shape) * 0.02
        if kind == "trained":
            x /= np.sqrt(rng.chisquare(7, size=shape) / 7)
            for axis, spread in zip(range(len(shape)), (0.3, 0.15)):
                x *= np.exp(spread * rng.standard_normal([n if at == axis else 1 for at, n in enumerate(shape)]))
        return x.astype(np.float32)

    tensors = {name: values(shape) for name, shape in shapes.items()}
    for variant in range(VARIANTS):
        directory = os.path.join(work, f"variant-{variant}")
        os.mkdir(directory)
        save_file(tensors, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
        config = ('{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 12, "n_embd": 768, "n_head": 12, '
                  '"vocab_size": 50257, "n_positions": 1024, "tie_word_embeddings": true}')
        open(os.path.join(directory, "config.json"), "w").write(config)
        for tensor in tensors.values():
            tensor += (rng.standard_normal(tensor.shape) * 1e-4).astype(np.float32)
    return sum(int(np.prod(shape)) for shape in shapes.values())


class Writer:
    """Writes checkpoints as a trainer with `save_total_limit=2` does."""

    def __init__(self, work, runs):
        self.work, self.run, self.step = work, os.path.join(work, runs, "run"), 0
        os.makedirs(self.run)

    def write(self):
        self.step += 1
        part = os.path.join(self.work, "part")
        shutil.copytree(os.path.join(self.work, f"variant-{self.step % VARIANTS}"), part)
        with open(os.path.join(part, "trainer_state.json"), "w") as state:
            state.write('{"global_step": %d, "max_steps": 100000, "log_history": []}' % self.step)
        os.rename(part, os.path.join(self.run, f"checkpoint-{self.step}"))
        shutil.rmtree(os.path.join(self.run, f"checkpoint-{self.step - 2}"), ignore_errors=True)


def start_daemon(given, work, runs, cores):
    config = os.path.join(work, "config.yml")
    settings = f"weigh: {{tier: {given.tier}, threads: {given.threads}, bytes_per_second: {given.bytes_per_second}}}\n"
    open(config, "w").write(settings)
    log = open(os.path.join(work, "log"), "a")
    command = ["taskset", "-c", ",".join(map(str, cores)), "nice", "-n", str(given.niceness), "ionice", "-c", "3", given.weighbridge,
               "watch", runs, "--store", os.path.join(work, "store"), "--config", config, "--listen", "127.0.0.1:0"]
    return subprocess.Popen(command, stderr=log, stdout=log)


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def steps_between(log_path, begun, ended):
    """Steps done between two times; of those that were under way at its ends the share that lies inside."""
    data = open(log_path, "rb").read()
    stamps = struct.unpack(f"{len(data) // 8}d", data[: len(data) // 8 * 8])

    def done(moment):
        at = bisect.bisect(stamps, moment)
        if at in (0, len(stamps)):
            return at
        return at + (moment - stamps[at - 1]) / (stamps[at] - stamps[at - 1])

    return done(ended) - done(begun)


def window(given, writer, daemon, log_path):
    """One window: steps a second, and the daemon's processor seconds."""
    spent, begun = processor_seconds(daemon.pid), time.monotonic()
    writer.write()
    time.sleep(max(0.0, begun + given.window - time.monotonic()))
    ended = time.monotonic()
    os.sync()
    return steps_between(log_path, begun, ended) / (ended - begun), processor_seconds(daemon.pid) - spent


def weighed(work):
    return len(re.findall("checkpoint weighed", open(os.path.join(work, "log")).read()))


def mean_and_error(values):
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return statistics.mean(values), error


def stop(daemon):
    """Ends it as systemd would: asked first, and killed where it takes longer than the unit allows."""
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(30)
    except subprocess.TimeoutExpired:
        print("the daemon did not drain within 30 s: killed", flush=True)
        daemon.kill()
        daemon.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weighbridge", default="target/release/weighbridge")
    parser.add_argument("--tier", type=int, default=1)
    parser.add_argument("--interval", type=float, default=60, help="seconds between two checkpoints that the figure is for")
    parser.add_argument("--window", type=float, default=6, help="seconds in which a checkpoint is written, and weighed or not")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--weights", choices=("trained", "fresh"), default="trained", help="fresh ones cost a third more")
    parser.add_argument("--job-threads", type=int, default=2, help="of the training loop; 1 leaves a core idle, as a job on an accelerator does")
    parser.add_argument("--threads", type=int, default=2, help="of the daemon")
    parser.add_argument("--niceness", type=int, default=0, help="of the daemon")
    parser.add_argument("--bytes-per-second", type=int, default=0)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    # Whatever ends this script ends the job and the daemon too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    if given.train:
        return train(given.train, cores, given.job_threads)
    with tempfile.TemporaryDirectory(dir=os.environ.get("WORK")) as work:
        parameters = make_checkpoints(work, given.weights)
        log_path = os.path.join(work, "steps")
        writers = {True: Writer(work, "watched"), False: Writer(work, "beside")}
        job = subprocess.Popen([sys.executable, __file__, "--train", log_path, "--job-threads", str(given.job_threads)])
        daemon = start_daemon(given, work, os.path.join(work, "watched"), cores)
        try:
            while not (os.path.exists(log_path) and os.path.getsize(log_path) >= 8 * 10):
                if job.poll() is not None:
                    sys.exit("the training loop ended by itself")
                time.sleep(0.5)
            print(f"{parameters / 1e6:.1f} M parameters, tier {given.tier}, {given.threads} thread(s), a job of {given.job_threads}, cores {cores}, "
                  f"windows of {given.window:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            measure(given, work, writers, daemon, log_path)
        finally:
            job.kill()
            job.wait()
            stop(daemon)


def measure(given, work, writers, daemon, log_path):
    # One of each kind that is not counted: the caches are warm, and a weighing has one before it to compare with.
    for watched in (True, False):
        window(given, writers[watched], daemon, log_path)
    rates, losses, used = {True: [], False: []}, [], {True: [], False: []}
    for pair in range(given.pairs):
        for watched in (True, False) if pair % 2 == 0 else (False, True):
            rate, spent = window(given, writers[watched], daemon, log_path)
            rates[watched].append(rate)
            used[watched].append(spent)
            # A weighing that is not done costs the next window, and a starved daemon makes a good figure and no statement.
            if watched and weighed(work) < len(rates[True]) + 1:
                sys.exit(f"a weighing did not end within {given.window:.0f} s: take longer windows")
        without, with_it = rates[False][-1], rates[True][-1]
        losses.append((1 - with_it / without) * 100)
        print(f"pair {pair + 1}: {without:.3f} steps/s without, {with_it:.3f} with: {losses[-1]:+.2f} % of a window lost; the daemon used "
              f"{used[True][-1]:.2f} s of processor time, {used[False][-1]:.2f} s without", flush=True)
    without = rates[False]
    nulls = [(1 - after / before) * 100 for before, after in zip(without[::2], without[1::2])]
    for name, values in (("lost", losses), ("null value", nulls)):
        mean, error = mean_and_error(values)
        seconds, part = given.window / 100, given.window / given.interval
        print(f"{name}: {mean:+.2f} ± {error:.2f} % of a window, {mean * seconds:+.2f} ± {error * seconds:.2f} s a checkpoint, "
              f"{mean * part:+.2f} ± {error * part:.2f} % with one every {given.interval:.0f} s ({len(values)} pairs)")
    print(f"the daemon used {statistics.mean(used[True]):.2f} s of processor time a checkpoint, {statistics.mean(used[False]):.2f} s in a "
          f"window without one")


if __name__ == "__main__":
    main()
