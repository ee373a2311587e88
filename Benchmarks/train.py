#!/usr/bin/env python3
"""Speed and memory of training, against torch on the same machine with the same number of threads.

Each side is a process that waits: its model, batch and optimizer are in memory and warm. A round lets each take the same number of
AdamW steps (forward, loss, backward, step, zero_grad), in shuffled order and never two at a time, so that a slow minute of a shared
machine hits all alike. torch runs with its default AdamW and with fused=True, and the faster one counts: `best` is the ratio of the
best rounds, `median` that of the median rounds, both as torch / ours; a verdict is about the median. Memory is the peak of the whole
process. A Markdown table goes to stdout, progress to stderr.

    train.py [--only linear,mlp,cnn,gpt,optimizer,run-mlp,run-gpt] [--threads 1,2] [--rounds N] [--bin DIR] [--json FILE]
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = [sys.executable, str(ROOT / "Benchmarks" / "train_peers.py")]
# Steps of a round, rounds, and how many times faster than torch we mean to be.
MODELS = {"linear": (2000, 15, 50), "mlp": (20, 15, 1.6), "cnn": (5, 11, 1.3), "gpt": (1, 7, 1.1)}
OPTIMIZER_STEPS, OPTIMIZER_TARGETS = 10, {"fused": 1.0, "default": 8.0}
PARAMETERS, BYTES_EACH = 25_384_448, 28  # of the optimizer's GPT; read: p, g, m, v; written: p, m, v
COPY_BYTES = 2 * (256 << 20)
RUN_STEPS, RUN_ROUNDS, SAVING_LIMIT = {"mlp": 450, "gpt": 150}, {"mlp": 11, "gpt": 3}, 1.03


class Worker:
    """One process, and what it took for a step in each round."""

    def __init__(self, name, command):
        self.name, self.times, self.memory = name, [], None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.expect("ready")

    def expect(self, wanted=None):
        line = self.process.stdout.readline().strip()
        try:
            return line if line == wanted else float(line)
        except ValueError:
            raise SystemExit(f"{self.name}: {line or 'ended without a word'}") from None

    def take(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.times.append(self.expect() / steps)

    def end(self):
        self.process.stdin.close()
        self.memory = self.expect()
        self.process.wait()

    best = property(lambda self: min(self.times))
    median = property(lambda self: statistics.median(self.times))


class Bench:
    def __init__(self, options):
        self.rounds_wanted = options.rounds
        self.ours = str(pathlib.Path(options.bin) / "ckpt-train-bench")
        self.random = random.Random(1)
        self.rows = []

    def rounds(self, title, commands, steps, count):
        workers = [Worker(name, [str(part) for part in command]) for name, command in commands.items()]
        count = self.rounds_wanted or count
        for number in range(count):
            for worker in self.random.sample(workers, len(workers)):
                worker.take(steps)
            print(f"{title}: round {number + 1} of {count}", file=sys.stderr)
        for worker in workers:
            worker.end()
        return workers

    def row(self, what, threads, ours, other, **more):
        best, median = other.best / ours.best, other.median / ours.median
        row = {"what": what, "threads": threads, "ours": scale(ours), "other": f"{other.name} {scale(other)}", "best": best}
        self.rows.append(row | {"median": median, "ours_mib": ours.memory, "torch_mib": other.memory} | more)
        return median

    def against_torch(self, name, threads):
        steps, count, target = MODELS[name]
        commands = {"ours": [self.ours, name, threads]}
        commands |= {f"torch {kind}": [*PEERS, name, threads, kind] for kind in ("default", "fused")}
        ours, *torch = self.rounds(f"{name}, {threads} threads", commands, steps, count)
        for other in torch:
            other.counts = other is min(torch, key=lambda worker: worker.median)
            wanted = target if other.counts else None
            limit = min(worker.memory for worker in torch) if other.counts else None
            self.row(name, threads, ours, other, target=wanted, memory_limit=limit)

    def optimizer(self, threads):
        commands = {"ours": [self.ours, "optimizer", threads], "copy": [*PEERS, "copy", threads]}
        commands |= {f"torch {kind}": [*PEERS, "optimizer", threads, kind] for kind in OPTIMIZER_TARGETS}
        ours, copy, *torch = self.rounds(f"optimizer, {threads} threads", commands, OPTIMIZER_STEPS, 11)
        for other, target in zip(torch, OPTIMIZER_TARGETS.values()):
            note = f"{speed(ours)} against {speed(other)} GB/s; a copy {COPY_BYTES / copy.best / 1e9:.1f}"
            what = "AdamW alone, 25 M parameters"
            self.row(what, threads, ours, other, target=target, memory_limit=other.memory, note=note)

    def saving(self, name, threads):
        with tempfile.TemporaryDirectory(prefix="ckpt-train-bench-") as folder:
            commands = {"saving": [self.ours, f"run-{name}", threads, 50, f"{folder}/saving"]}
            commands["never"] = [self.ours, f"run-{name}", threads, 0, f"{folder}/never"]
            title = f"{name}, {threads} threads, saving"
            saving, never = self.rounds(title, commands, RUN_STEPS[name], RUN_ROUNDS[name])
        loss = saving.median / never.median
        batch = " of batch 2" if name == "gpt" else ""
        self.row(f"{name}{batch}, a checkpoint each 50 steps", threads, saving, never, loss=loss)


def scale(worker):
    return f"{1000 * worker.best:.4g} / {1000 * worker.median:.4g}"


def speed(worker):
    return f"{PARAMETERS * BYTES_EACH / worker.best / 1e9:.1f}"


def verdict(row):
    parts = []
    if row.get("target"):
        parts.append(f"{'pass' if row['median'] >= row['target'] else 'MISS'}: {row['target']:g} x wanted")
    if row.get("memory_limit"):
        parts.append("memory " + ("pass" if row["ours_mib"] <= row["memory_limit"] else "MISS"))
    if "loss" in row:
        parts.append(f"{'pass' if row['loss'] < SAVING_LIMIT else 'MISS'}: loses {100 * (row['loss'] - 1):.1f} %, under 3 % wanted")
    return ", ".join(parts + [row["note"]] if "note" in row else parts)


def table(rows):
    yield "| what | threads | ours, ms (best / median) | beside | best | median | MiB, ours / theirs | |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        cells = [row["what"], row["threads"], row["ours"], row["other"], f"{row['best']:.2f}", f"{row['median']:.2f}"]
        cells += [f"{row['ours_mib']:.0f} / {row['torch_mib']:.0f}", verdict(row)]
        yield "| " + " | ".join(map(str, cells)) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="linear,mlp,cnn,gpt,optimizer,run-mlp,run-gpt")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=0, help="0: as many as each case needs")
    parser.add_argument("--bin", default=str(ROOT / ".build" / "release"))
    parser.add_argument("--json", help="also write the rows to this file")
    options = parser.parse_args()
    bench = Bench(options)
    for name in options.only.split(","):
        for threads in map(int, options.threads.split(",")):
            if name in MODELS:
                bench.against_torch(name, threads)
            elif name == "optimizer":
                bench.optimizer(threads)
            elif name.startswith("run-") and name[4:] in RUN_STEPS:
                bench.saving(name[4:], threads)
            else:
                parser.error(f"there is no case '{name}'")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(bench.rows, indent=1))
    print("\n".join(table(bench.rows)))


if __name__ == "__main__":
    main()
