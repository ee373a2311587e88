"""Folders of DeepSpeed: plain torch goes on from what the command makes of them."""

import copy
import shutil

import pytest
import torch
from checkpoints import load_safely
from conftest import FIXTURES
from torch import nn

FOLDER = FIXTURES / "deepspeed"


class Net(nn.Module):
    """The fixtures' network, without importing DeepSpeed."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(5, 3, bias=False)
        self.hidden = nn.Linear(3, 7)
        self.out = nn.Linear(7, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.scale = nn.Parameter(torch.full((3,), 0.5), requires_grad=False)
        self.register_buffer("mean", torch.arange(3.0) / 8)

    def forward(self, x):
        return self.head(self.out(torch.tanh(self.hidden((self.embed(x) - self.mean) * self.scale))))


def trained(net):
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    decayed = [(name, p) for name, p in named if not name.endswith("bias")]
    return [{"params": decayed, "weight_decay": 0.1}, {"params": [pair for pair in named if pair not in decayed], "weight_decay": 0.0}]


def step(net, optimizer, batch):
    optimizer.zero_grad()
    net(batch).square().mean().backward()
    optimizer.step()


def batches():
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(4, 5, generator=generator) for _ in range(4)]


@pytest.fixture(scope="module")
def plain():
    """Three steps with torch alone, as the fixtures have made, and one more."""
    torch.manual_seed(5)
    net = Net()
    optimizer = torch.optim.AdamW(trained(net), lr=0.01)
    for batch in batches()[:3]:
        step(net, optimizer, batch)
    before = copy.deepcopy(net.state_dict())
    step(net, optimizer, batches()[3])
    return before, net.state_dict()


def by_name(optimizer, state):
    """A state dict with names as torch's optimizers want it: numbers, in the order of their own groups."""
    own = optimizer.state_dict()
    numbers = {name: i for group in own["param_groups"] for name, i in zip(group["param_names"], group["params"])}
    for group, theirs in zip(own["param_groups"], state["param_groups"]):
        assert group["param_names"] == theirs["params"]
        group |= {key: value for key, value in theirs.items() if key in group and key not in ("params", "param_names")}
    own["state"] = {numbers[name]: slots for name, slots in state["state"].items()}
    return own


@pytest.mark.parametrize("name", ["zero2", "zero3", "universal_zero2", "universal_zero3"])
def test_plain_torch_goes_on_where_deepspeed_stopped(ckpt, plain, tmp_path, name):
    before, after = plain
    ckpt.succeed("convert", FOLDER / name, tmp_path / "a.h5")
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "a.pt")
    read = load_safely(tmp_path / "a.pt")
    net = Net()
    net.load_state_dict(read["model"])
    for key, value in before.items():
        torch.testing.assert_close(net.state_dict()[key], value, rtol=1e-5, atol=1e-7)
    optimizer = torch.optim.AdamW(trained(net), lr=0.5)
    optimizer.load_state_dict(by_name(optimizer, read["optimizer"]))
    step(net, optimizer, batches()[3])
    for key, value in after.items():
        torch.testing.assert_close(net.state_dict()[key], value, rtol=1e-5, atol=1e-6)


def test_the_command_names_the_rank_that_is_missing(ckpt, tmp_path):
    shutil.copytree(FOLDER / "zero2", tmp_path / "part")
    (tmp_path / "part/global_step3/zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    done = ckpt.run("convert", tmp_path / "part", tmp_path / "a.h5")
    assert done.code != 0 and "rank 1 is missing" in done.err and not (tmp_path / "a.h5").exists()
