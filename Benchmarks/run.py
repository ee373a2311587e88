#!/usr/bin/env python3
"""Speed and memory of `ckpt` against cp, torch, safetensors and h5py on the same bytes.

Each round runs every variant once, in shuffled order, so that a slow minute of a shared machine hits all alike; a ratio is taken
within a round against the base, and the median of these ratios is what counts. Sources are in the page cache, outputs are new files,
and dirty pages are written out before each run. `ckpt` and cp are timed as whole processes, peers and `ckpt-bench` by their own clock
(imports and the making of data left out). The table goes to stdout, progress to stderr.

    run.py [--only convert,save,load,small,inspect,legacy,dcp,safetensors] [--bytes N] [--rounds N] [--dir DIR] [--bin DIR] [--json FILE]
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = [sys.executable, str(ROOT / "Benchmarks" / "peers.py")]
SMALL_FILE = ROOT / "fixtures" / "torch" / "transformer_adamw.pt"
# What one writes to see what is in a file; NumPy's flavour, since importing torch alone would take a second.
LIST_SCRIPT = """
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as file:
    for name in file.keys():
        part = file.get_slice(name)
        print(name, part.get_dtype(), part.get_shape())
"""
BIG_COUNT, SMALL_COUNT, SMALL_BYTES = 300, 10_000, 4_000_000
MEMORY_LIMIT = 200


@dataclass
class Variant:
    """One command, timed whole, or by the {"t": seconds} that it prints."""

    name: str
    command: list
    own_clock: bool = False
    fsync: bool = False
    target: float | None = None
    also: str | None = None  # a second base to compare with
    limit_memory: bool = False
    seconds: list = field(default_factory=list)
    memory: float = 0


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ckpt-bench-", dir=options.dir))
        self.out = self.folder / "out"
        self.ckpt, self.library = (str(pathlib.Path(options.bin) / name) for name in ("ckpt", "ckpt-bench"))
        self.random = random.Random(1)
        self.size = f"{options.bytes / 2**30:.3g} GiB"
        self.rows = []

    def path(self, name):
        return str(self.folder / name)

    # Inputs

    def make(self, kind, size, count):
        path = self.path(f"{count}.{kind}")
        if not os.path.exists(path):
            subprocess.run([*PEERS, "make", kind, path, str(size), str(count)], check=True, stdout=subprocess.DEVNULL)
        return path

    def h5_of(self, source):
        path = source.rsplit(".", 1)[0] + ".h5"
        if not os.path.exists(path):
            subprocess.run([self.ckpt, "convert", source, path, "--quiet"], check=True)
        return path

    # Measuring

    def rounds(self, title, variants, count):
        for number in range(count + 1):  # the first round only warms up
            for variant in self.random.sample(variants, len(variants)):
                seconds = self.run(variant)
                if number:
                    variant.seconds.append(seconds)
            print(f"{title}: round {number} of {count}", file=sys.stderr)
        self.report(title, variants)

    def run(self, variant):
        for path in self.folder.glob("out*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        os.sync()
        start = time.perf_counter()
        process = subprocess.Popen(variant.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=False)
        watch = threading.Thread(target=watch_memory, args=(process.pid, variant))
        watch.start()
        out, error = process.communicate()
        if variant.fsync and process.returncode == 0:
            fsync(variant.command[-1])
        seconds = time.perf_counter() - start
        watch.join()
        if process.returncode:
            raise SystemExit(f"{variant.name} failed with {process.returncode}: {error.decode()[-1000:]}")
        return json.loads(out.splitlines()[-1])["t"] if variant.own_clock else seconds

    # Reporting

    def report(self, title, variants):
        by_name = {variant.name: variant for variant in variants}
        for variant in variants:
            self.add(title, variant, by_name[variants[0].name], variant.target)
            if variant.also:
                self.add(title, variant, by_name[variant.also], None)
            if variant.limit_memory:
                value, limit = f"{variant.memory:.0f} MB", f"{MEMORY_LIMIT} MB"
                self.verdict(title, f"{variant.name}: private memory", value, limit, variant.memory < MEMORY_LIMIT)

    def add(self, title, variant, base, target):
        ratio = statistics.median(mine / other for mine, other in zip(variant.seconds, base.seconds))
        verdict = "" if target is None else "pass" if ratio <= target else "MISS"
        row = {"group": title, "what": variant.name, "median": statistics.median(variant.seconds), "best": min(variant.seconds)}
        self.rows.append(row | {"ratio": ratio, "base": base.name, "target": target, "memory_mb": variant.memory, "verdict": verdict})

    def verdict(self, title, name, value, target, passed):
        self.rows.append({"group": title, "what": name, "value": value, "target": target, "verdict": "pass" if passed else "MISS"})

    # What is measured

    def convert(self):
        source = self.make("adam.pt", self.options.bytes, BIG_COUNT)
        self.conversions(f"convert, {self.size}, 300 tensors", source, self.options.rounds, target=1.0)

    def small(self):
        source = self.make("adam.pt", SMALL_BYTES, SMALL_COUNT)
        self.conversions("convert, 10 000 small tensors", source, self.options.rounds, target=None)

    def legacy(self):
        """What is older than the zip archives."""
        for kind, name in (("adam.legacy.pt", "a legacy stream"), ("adam.pkl", "a plain pickle")):
            source, out = self.make(kind, self.options.bytes, BIG_COUNT), str(self.out)
            variants = [
                Variant("cp, fsync", ["cp", source, out], fsync=True),
                Variant("ckpt -> .h5, fsync", [self.ckpt, "convert", "--quiet", source, out + ".h5"], target=1.3, limit_memory=True),
            ]
            self.rounds(f"convert {name}, {self.size}, 300 tensors", variants, self.options.rounds)

    def dcp(self):
        """A distributed checkpoint of 8 files, and back."""
        source, folder, out = self.make("adam.pt", self.options.bytes, BIG_COUNT), self.path("dcp"), str(self.out)
        if not os.path.exists(folder):
            subprocess.run([self.ckpt, "convert", "--quiet", source, folder, "--to", "dcp", "--shards", "8"], check=True)
        to_dcp = [self.ckpt, "convert", "--quiet", self.h5_of(source), out, "--to", "dcp", "--shards", "8"]
        variants = [
            Variant("cp -r, fsync", ["cp", "-r", folder, out], fsync=True),
            Variant("ckpt -> .h5, fsync", [self.ckpt, "convert", "--quiet", folder, out + ".h5"], target=1.3, limit_memory=True),
            Variant("ckpt .h5 -> dcp, fsync", to_dcp, target=1.3, limit_memory=True),
        ]
        self.rounds(f"convert a distributed checkpoint, {self.size}, 300 tensors, 8 files", variants, self.options.rounds)

    def safetensors(self):
        """safetensors to HDF5 and back, and the listing of many tensors."""
        source, out = self.make("flat.safetensors", self.options.bytes, BIG_COUNT), str(self.out)
        h5 = self.h5_of(source)
        variants = [
            Variant("cp, fsync", ["cp", source, out], fsync=True),
            Variant("ckpt -> .h5, fsync", [self.ckpt, "convert", "--quiet", source, out + ".h5"], target=1.25, limit_memory=True),
            Variant("ckpt .h5 -> .safetensors, fsync", [self.ckpt, "convert", "--quiet", h5, out + ".safetensors"], target=1.25, limit_memory=True),
        ]
        self.rounds(f"convert safetensors, {self.size}, 300 tensors", variants, self.options.rounds)

        many = self.make("flat.safetensors", SMALL_BYTES, SMALL_COUNT)
        title = "list 10 000 tensors of a safetensors file"
        json_name, table_name = "ckpt inspect --json, whole process", "ckpt inspect --tensors (a table), whole process"
        script = "a Python script with safetensors, whole process"
        commands = {json_name: [self.ckpt, "inspect", "--json", many], table_name: [self.ckpt, "inspect", "--tensors", many]}
        times = self.whole_process(commands | {script: [sys.executable, "-c", LIST_SCRIPT, many]}, rounds=15)
        self.milliseconds(title, times, {json_name: 1000 * statistics.median(times[script]) / 5})
        ours = Variant("our library opens it, in process", [self.library, "open", many], own_clock=True)
        theirs = Variant("safetensors opens it, in process", [*PEERS, "open", many], own_clock=True)
        opened = {variant.name: [self.run(variant) for _ in range(5)] for variant in (theirs, ours)}
        self.milliseconds(title, opened, {ours.name: 1000 * statistics.median(opened[theirs.name])})

    def conversions(self, title, source, rounds, target):
        h5, out = self.h5_of(source), str(self.out)
        self.rounds(
            title,
            [
                Variant("cp", ["cp", source, out]),
                Variant("cp, fsync", ["cp", source, out], fsync=True),
                Variant("our library .pt -> .h5", [self.library, "convert", source, out + ".h5"], own_clock=True, target=target),
                Variant("our library .h5 -> .pt", [self.library, "convert", h5, out + ".pt"], own_clock=True, target=target),
                Variant("ckpt .pt -> .h5, fsync", [self.ckpt, "convert", "--quiet", source, out + ".h5"], also="cp, fsync", limit_memory=True),
                Variant("ckpt .h5 -> .pt, fsync", [self.ckpt, "convert", "--quiet", h5, out + ".pt"], also="cp, fsync", limit_memory=True),
                Variant("torch mmap -> h5py", [*PEERS, "convert", "h5py", source, out], own_clock=True),
                Variant("torch mmap -> safetensors", [*PEERS, "convert", "safetensors", source, out], own_clock=True),
            ],
            rounds,
        )

    def save(self):
        source = self.make("flat.safetensors", self.options.bytes, BIG_COUNT)
        amount = [str(self.options.bytes), str(BIG_COUNT)]
        ours = [self.library, "save", str(self.out), "--bytes", amount[0], "--count", amount[1]]
        for sync in (False, True):
            suffix = ["fsync"] if sync else []
            peers = [Variant(name, [*PEERS, "save", name, str(self.out), *amount, *suffix], own_clock=True) for name in ("torch", "safetensors", "h5py")]
            library = Variant("our library", ours + ["--fsync"] * sync, own_clock=True, target=1.0 if sync else 0.8)
            base = Variant("cp", ["cp", source, str(self.out)], fsync=sync)
            self.rounds(f"save {self.size}" + ", fsync" * sync, [base, library, *peers], self.options.rounds)

    def load(self):
        safetensors = self.make("flat.safetensors", self.options.bytes, BIG_COUNT)
        pt = self.make("flat.pt", self.options.bytes, BIG_COUNT)
        ours = [self.library, "load", self.h5_of(pt), "--bytes", str(self.options.bytes), "--count", str(BIG_COUNT)]
        self.rounds(
            f"load {self.size}, every page touched",
            [
                Variant("safetensors load_file", [*PEERS, "load", "safetensors", safetensors], own_clock=True),
                Variant("our library, mapped", ours, own_clock=True, target=0.8, limit_memory=True),
                Variant("torch mmap", [*PEERS, "load", "torch", pt], own_clock=True),
            ],
            2 * self.options.rounds,
        )

    def inspect(self):
        h5 = self.path("small.h5")
        subprocess.run([self.ckpt, "convert", str(SMALL_FILE), h5, "--quiet"], check=True)
        title = "inspect a small file, whole process"
        times = self.whole_process(
            {"true": ["true"], "ckpt inspect .h5": [self.ckpt, "inspect", h5], "ckpt inspect .pt": [self.ckpt, "inspect", str(SMALL_FILE)]}
        )
        self.milliseconds(title, times, {"ckpt inspect .h5": 10, "ckpt inspect .pt": 10})

        safetensors = self.make("flat.safetensors", SMALL_BYTES, SMALL_COUNT)
        many = self.h5_of(self.make("flat.pt", SMALL_BYTES, SMALL_COUNT))
        header = Variant("header", [*PEERS, "header", safetensors], own_clock=True)
        name = "ckpt inspect --json, whole process"
        times, warm = {}, []
        for _ in range(3):
            warm.append(self.run(header))
            for key, seconds in self.whole_process({name: [self.ckpt, "inspect", "--json", many]}, rounds=7).items():
                times.setdefault(key, []).extend(seconds)
        limit = 1000 * statistics.median(warm)
        title = "list 10 000 tensors"
        self.milliseconds(title, times | {"json.loads of a safetensors header, warm": warm}, {name: limit})

    def whole_process(self, commands, rounds=30):
        times = {name: [] for name in commands}
        for _ in range(rounds):
            for name in self.random.sample(list(commands), len(commands)):
                start = time.perf_counter()
                subprocess.run(commands[name], stdout=subprocess.DEVNULL, check=True, close_fds=False)
                times[name].append(time.perf_counter() - start)
        return times

    def milliseconds(self, title, times, limits):
        for name, seconds in times.items():
            median, best = 1000 * statistics.median(seconds), 1000 * min(seconds)
            limit = limits.get(name)
            target = f"{limit:.1f} ms" if limit else ""
            row = {"group": title, "what": name, "value": f"{median:.1f} ms (best {best:.1f})", "target": target}
            self.rows.append(row | {"verdict": "" if limit is None else "pass" if median <= limit else "MISS"})


def watch_memory(pid, variant):
    """The highest private memory of a running process, in MB."""
    while True:
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        line = next((line for line in status.splitlines() if line.startswith("RssAnon")), None)
        if line is None:  # a zombie has no memory
            return
        variant.memory = max(variant.memory, int(line.split()[1]) / 1024)
        time.sleep(0.005)


def fsync(path):
    """A file, or a folder with its files."""
    for inner in pathlib.Path(path).iterdir() if os.path.isdir(path) else ():
        fsync(inner)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def table(rows):
    lines = ["| | seconds: median (best) | ratio | target | private MB | |", "|---|---|---|---|---|---|"]
    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            lines.append(f"| **{group}** | | | | | |")
        lines.append("| " + " | ".join(cells(row)) + " |")
    return "\n".join(lines)


def cells(row):
    if "value" in row:
        return [row["what"], row["value"], "", row["target"], "", row["verdict"]]
    seconds = f"{row['median']:.3f} ({row['best']:.3f})"
    target = "" if row["target"] is None else f"{row['target']:.1f} x {row['base']}"
    return [row["what"], seconds, f"{row['ratio']:.2f} x {row['base']}", target, f"{row['memory_mb']:.0f}", row["verdict"]]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="convert,save,load,small,inspect")
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where the files go (5 GB at the most); they are removed at the end")
    parser.add_argument("--bin", default=str(ROOT / ".build" / "release"))
    parser.add_argument("--json", help="write the rows to this file too")
    return parser.parse_args()


def main():
    options = arguments()
    bench = Bench(options)
    try:
        for name in options.only.split(","):
            getattr(bench, name)()
    finally:
        shutil.rmtree(bench.folder)
    print(table(bench.rows))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(bench.rows, indent=2))


if __name__ == "__main__":
    main()
