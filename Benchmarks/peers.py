"""One operation of one peer in a process of its own. Prints {"t": seconds}; imports and the making of data are not counted.

peers.py make flat.pt|adam.pt|adam.legacy.pt|adam.pkl|flat.safetensors FILE BYTES COUNT
peers.py save torch|safetensors|h5py FILE BYTES COUNT [fsync]
peers.py load torch|safetensors FILE
peers.py convert h5py|safetensors FILE.pt OUT
peers.py header FILE.safetensors        json.loads of its header, warm
peers.py open FILE.safetensors          safetensors' own opening of a file (its header's parse), warm
"""

import json
import os
import pickle
import statistics
import sys
import time
from collections import OrderedDict

import h5py
import numpy
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def tensors(size, count, prefix="layer"):
    """`count` float32 tensors of `size` bytes in all, of random bits (so that nothing can compress or share them)."""
    length = size // count // 4
    return OrderedDict((f"{prefix}.{i}.weight", torch.randint(2**30, (length,), dtype=torch.int32).view(torch.float32)) for i in range(count))


def adam_checkpoint(size, count):
    """A model and its two moments: a third of the tensors and bytes each."""
    model = tensors(size // 3, count // 3)
    moments = (tensors(size // 3, count // 3).values() for _ in range(2))
    state = {i: {"step": torch.tensor(1000.0), "exp_avg": m, "exp_avg_sq": v} for i, (m, v) in enumerate(zip(*moments))}
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False, "params": list(range(len(model)))}
    return {"model": model, "optimizer": {"state": state, "param_groups": [group]}, "step": 1000}


def make(kind, path, size, count):
    if kind == "flat.safetensors":
        return save_file(tensors(int(size), int(count)), path)
    content = adam_checkpoint if kind.startswith("adam") else tensors
    value = content(int(size), int(count))
    if kind == "adam.pkl":
        with open(path, "wb") as file:
            return pickle.dump(value, file)
    torch.save(value, path, _use_new_zipfile_serialization="legacy" not in kind)


def save(peer, path, size, count, sync=None):
    data = tensors(int(size), int(count))
    writers = {"torch": torch.save, "safetensors": save_file, "h5py": write_h5}
    start = time.perf_counter()
    writers[peer](data, path)
    if sync:
        fsync(path)
    return time.perf_counter() - start


def fsync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def write_h5(data, path):
    with h5py.File(path, "w", libver="latest") as file:
        for name, tensor in data.items():
            file[name] = tensor.numpy()


def load(peer, path):
    """Loads, and touches every page, since a mapped file is otherwise only promised."""
    start = time.perf_counter()
    data = load_file(path) if peer == "safetensors" else torch.load(path, mmap=True)
    for tensor in data.values():
        tensor.numpy().view(numpy.uint8)[::4096].sum()
    return time.perf_counter() - start


def convert(target, source, out):
    start = time.perf_counter()
    data = dict(flat(torch.load(source, mmap=True)))
    if target == "h5py":
        write_h5(data, out)
    else:
        save_file(data, out)
    return time.perf_counter() - start


def flat(tree, path=()):
    if isinstance(tree, torch.Tensor):
        yield ".".join(path), tree
    elif isinstance(tree, dict):
        for key, item in tree.items():
            yield from flat(item, (*path, str(key)))


def header(path):
    with open(path, "rb") as file:
        data = file.read(int.from_bytes(file.read(8), "little"))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        json.loads(data)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def open_safetensors(path):
    times = []
    for _ in range(20):
        start = time.perf_counter()
        with safe_open(path, "np"):
            times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    operation, *arguments = sys.argv[1:]
    seconds = {"make": make, "save": save, "load": load, "convert": convert, "header": header, "open": open_safetensors}[operation](*arguments)
    print(json.dumps({"t": seconds}))
