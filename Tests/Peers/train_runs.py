"""Four small runs, each as a config for `ckpt train` and as the same run in torch: same weights, same batches, no dropout."""

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Callable

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from training import GPT

WIDTH, CONTEXT, VOCABULARY = 32, 16, 256


def gpt_model(dropout=0.0):
    return GPT(layers=2, heads=2, width=WIDTH, context=CONTEXT, vocab=VOCABULARY, dropout=dropout)


@dataclass
class Case:
    make_model: Callable
    model: dict
    loss: str
    batch: int
    make_data: Callable
    lr: float = 1e-3

    def data(self, folder):
        """Writes the data file; gives the config's words for it, and the batches as torch takes them."""
        return self.make_data(folder, self.batch)


def array_batches(x, y, batch):
    """In file order, the short last batch of an epoch included, for ever."""
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    while True:
        for first in range(0, len(x), batch):
            yield x[first : first + batch], y[first : first + batch]


def arrays(x, y):
    def make(folder, batch):
        np.savez(folder / "data.npz", x=x, y=y)
        return {"file": "data.npz", "inputs": "x", "targets": "y"}, array_batches(x, y, batch)

    return make


def regression(count=200):
    random = np.random.default_rng(1)
    x = random.standard_normal((count, 10), dtype=np.float32)
    y = x @ random.standard_normal((10, 1), dtype=np.float32) + random.standard_normal((count, 1), dtype=np.float32) / 10
    return arrays(x, y)


def classes(*shape, count=300):
    random = np.random.default_rng(2)
    y = random.integers(0, 10, count)
    x = random.standard_normal((count, *shape), dtype=np.float32)
    x.reshape(count, -1)[np.arange(count), y] += 3
    return arrays(x, y)


def text(folder, batch):
    random = np.random.default_rng(3)
    words = [bytes(random.integers(97, 123, random.integers(2, 7)).tolist()) for _ in range(40)]
    data = b" ".join(words[i] for i in random.integers(0, 40, 1500))
    (folder / "data.txt").write_bytes(data)

    def batches():
        tokens = torch.tensor(list(data))
        windows = (len(tokens) - 1) // CONTEXT
        while True:
            for first in range(0, windows, batch):
                starts = [i * CONTEXT for i in range(first, min(first + batch, windows))]
                yield (
                    torch.stack([tokens[i : i + CONTEXT] for i in starts]),
                    torch.stack([tokens[i + 1 : i + CONTEXT + 1] for i in starts]),
                )

    return {"text": "data.txt", "tokens": "bytes"}, batches()


CASES = {
    "linear": Case(lambda: nn.Linear(10, 1), {"sequential": [{"linear": {"in": 10, "out": 1}}]}, "mse", 64, regression()),
    "mlp": Case(
        lambda: nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10)),
        {"sequential": [
            {"linear": {"in": 64, "out": 48}}, {"relu": {}}, {"linear": {"in": 48, "out": 32}}, {"relu": {}},
            {"linear": {"in": 32, "out": 10}}]},
        "cross_entropy", 32, classes(64)),
    "cnn": Case(
        lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(144, 10)),
        {"sequential": [
            {"conv2d": {"in": 1, "out": 8, "kernel_size": 3, "padding": 1, "bias": False}}, {"batch_norm2d": {"num_features": 8}},
            {"relu": {}}, {"conv2d": {"in": 8, "out": 16, "kernel_size": 3}}, {"relu": {}},
            {"max_pool2d": {"kernel_size": 2}}, {"flatten": {}}, {"linear": {"in": 144, "out": 10}}]},
        "cross_entropy", 32, classes(1, 8, 8)),
    "gpt": Case(
        gpt_model,
        {"gpt": {"layers": 2, "heads": 2, "width": WIDTH, "context": CONTEXT, "vocab": VOCABULARY, "tie_embeddings": True}},
        "cross_entropy", 8, text),
}

LOSSES = {
    "mse": F.mse_loss,
    "cross_entropy": lambda out, y: F.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1)),
}


def cosine_with_warmup(optimizer, warmup, total, min_lr):
    """`schedule: {cosine: {warmup: …, total: …, min_lr: …}}` in torch's words."""
    schedulers = torch.optim.lr_scheduler
    rise = schedulers.LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    fall = schedulers.CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=min_lr)
    return schedulers.SequentialLR(optimizer, [rise, fall], milestones=[warmup])


class TorchRun:
    """The run as torch does it. The linear model is wrapped, so that its names are those of a Sequential."""

    def __init__(self, name, optimizer=None, seed=5, accumulate=1, clip_grad_norm=None, scheduler=None):
        torch.manual_seed(seed)
        self.case = CASES[name]
        model = self.case.make_model()
        self.model = nn.Sequential(model) if name == "linear" else model
        make = optimizer or (lambda parameters: torch.optim.AdamW(parameters, lr=self.case.lr, fused=True))
        self.optimizer = make(self.model.parameters())
        self.accumulate, self.clip_grad_norm = accumulate, clip_grad_norm
        self.scheduler = scheduler(self.optimizer) if scheduler else None
        self.losses, self.norms = [], []

    def train(self, batches, steps):
        self.model.train()
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.losses.append(sum(self.backward(*next(batches)) for _ in range(self.accumulate)))
            if self.clip_grad_norm:
                self.norms.append(nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm).item())
            self.optimizer.step()
            if self.scheduler:
                self.scheduler.step()

    def backward(self, x, y):
        loss = LOSSES[self.case.loss](self.model(x), y) / self.accumulate
        loss.backward()
        return loss.item()

    def checkpoint(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, checkpoint):
        self.model.load_state_dict(checkpoint["model"], strict=True)
        self.optimizer.load_state_dict(checkpoint["optimizer"])


def config(name, folder, data, *, steps, optimizer=None, validation=None, shuffle=False, **more):
    """Writes a config in which, unless it is told to, nothing is drawn by lot; JSON is YAML."""
    case = CASES[name]
    settings = {
        "seed": 1, "model": case.model, "loss": case.loss, "steps": steps, "log_every": 1, "out": "run",
        "data": {"train": data, "validation": validation, "batch": case.batch, "shuffle": shuffle},
        "optimizer": optimizer or {"adamw": {"lr": case.lr}}, **more}
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings, indent=1))
    return path


def column(folder, name):
    """A column of metrics.csv, as numbers; without the rows that have none."""
    lines = (folder / "metrics.csv").read_text().splitlines()
    index = lines[0].split(",").index(name)
    return [float(field) for line in lines[1:] if (field := line.split(",")[index])]


def losses(folder):
    return column(folder, "loss")


def digest(path):
    with h5py.File(path) as file:
        return file.attrs["content_digest"]


def steps_of(folder):
    """The steps that a run's folder has checkpoints of."""
    return sorted(int(file.stem.removeprefix("step-")) for file in folder.glob("step-*.h5"))


def step_file(folder, step):
    return folder / f"step-{step:08}.h5"


def start(ckpt, *words, **options):
    """`ckpt train` that goes on by itself."""
    command = [ckpt.path, "train", *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_until(condition, process, seconds=30):
    """Waits for what a process is to do; the process must not end before."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"it ended: {process.communicate()}"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.0005)
