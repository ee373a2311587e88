"""Jobs of several processes that save and load distributed checkpoints through torch's own engine (gloo).

    dcp_jobs.py WORLD save FOLDER     trains two steps, saves in many forms, steps once more
    dcp_jobs.py WORLD load FOLDER...  loads each into a model of other weights, steps once

The whole state before and after the last step is in whole.pt and next.pt beside what was saved, or in FOLDER.whole.pt
and FOLDER.next.pt."""

import os
import sys
import tempfile
import warnings

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

FLAT = StateDictOptions(flatten_optimizer_state_dict=True)


class Net(nn.Module):
    """Large enough that some tensors are cut, with sizes that no number of ranks divides."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(151, 130)
        self.blocks = nn.ModuleList(nn.Linear(130, 130) for _ in range(2))
        self.norm = nn.BatchNorm1d(130)
        self.head = nn.Linear(130, 3)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.head(self.norm(x))


def make(seed, sharded=True):
    torch.manual_seed(seed)
    model = Net()
    if sharded:
        for block in model.blocks:
            fully_shard(block)
        fully_shard(model)
    decay = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0, "lr": 3e-3}]
    return model, torch.optim.AdamW(groups, lr=1e-2)


def step(model, optimizer, number):
    optimizer.zero_grad()
    x = torch.randint(0, 151, (16,), generator=torch.Generator().manual_seed(number))
    (model(x) ** 2).mean().backward()
    optimizer.step()


def whole(value):
    if isinstance(value, DTensor):
        return value.full_tensor().detach().clone()
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(whole(item) for item in value)
    return value


def state_of(model, optimizer, options=None):
    names = ("model", "optimizer")
    return dict(zip(names, get_state_dict(model, optimizer, options=options)))


def keep(model, optimizer, path):
    state = whole(state_of(model, optimizer))
    if dist.get_rank() == 0:
        torch.save(state, path)


def save(folder):
    model, optimizer = make(1)
    for number in range(2):
        step(model, optimizer, number)
    state = state_of(model, optimizer)
    dcp.save({**state, "epoch": 3, "losses": [0.5, 0.25]}, checkpoint_id=f"{folder}/both")
    dcp.save(state["model"], checkpoint_id=f"{folder}/model")
    dcp.save(state["optimizer"], checkpoint_id=f"{folder}/optimizer")
    dcp.save(state_of(model, optimizer, FLAT), checkpoint_id=f"{folder}/flat")
    keep(model, optimizer, f"{folder}/whole.pt")
    step(model, optimizer, 2)
    keep(model, optimizer, f"{folder}/next.pt")


def load(folder):
    options = FLAT if folder.endswith("flat") else None
    model, optimizer = make(7)
    # The optimizer has no state to load into before its first step; torch makes one.
    state = state_of(model, optimizer, options)
    dcp.load(state, checkpoint_id=folder)
    set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=options)
    keep(model, optimizer, f"{folder}.whole.pt")
    step(model, optimizer, 2)
    keep(model, optimizer, f"{folder}.next.pt")


def worker(rank, world, meeting, task, folders):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    for folder in folders:
        {"save": save, "load": load}[task](folder)
    dist.barrier()
    # Taking gloo apart while another rank still talks aborts now and then; nothing is left to be done.
    os._exit(0)


def run(world, task, *folders):
    with tempfile.TemporaryDirectory() as meeting:
        mp.spawn(worker, (world, f"{meeting}/file", task, folders), nprocs=world)


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2], *map(os.path.abspath, sys.argv[3:]))
