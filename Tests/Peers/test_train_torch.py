"""`ckpt train` against torch: the same losses from the same weights, and runs that go from one to the other and back."""

import itertools

import numpy as np
import pytest
import torch
from checkpoints import load_safely
from train_runs import CASES, TorchRun, config, losses

# Both sides compute in float32; sums are taken in another order, and what differs grows with the steps.
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", CASES)
def test_losses_are_torchs(ckpt, name, tmp_path):
    data, batches = CASES[name].data(tmp_path)
    run = TorchRun(name)
    torch.save(run.model.state_dict(), tmp_path / "start.pt")
    ckpt.succeed("train", config(name, tmp_path, data, steps=100, init="start.pt"), "--quiet")
    run.train(batches, 100)
    np.testing.assert_allclose(losses(tmp_path / "run"), run.losses, rtol=TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_start_in_torch_go_on_here_end_in_torch(ckpt, name, tmp_path):
    data, batches = CASES[name].data(tmp_path)
    whole = TorchRun(name)
    same, batches = itertools.tee(batches)
    whole.train(same, 150)

    first = TorchRun(name)
    first.train(batches, 50)
    torch.save(first.checkpoint(), tmp_path / "first.pt")
    ckpt.succeed("train", config(name, tmp_path, data, steps=100), "--resume", tmp_path / "first.pt", "--quiet")
    ckpt.succeed("convert", tmp_path / "run/step-00000100.h5", tmp_path / "second.pt")

    last = TorchRun(name, seed=99)
    last.load(load_safely(tmp_path / "second.pt"))
    for _ in range(50):
        next(batches)
    last.train(batches, 50)
    np.testing.assert_allclose(losses(tmp_path / "run"), whole.losses[50:100], rtol=TOLERANCE)
    np.testing.assert_allclose(last.losses, whole.losses[100:], rtol=TOLERANCE)
    assert {int(state["step"]) for state in last.optimizer.state_dict()["state"].values()} == {150}


def test_what_is_trained_here_loads_strictly_in_torch(ckpt, tmp_path):
    data, _ = CASES["gpt"].data(tmp_path)
    optimizer = {"adamw": {"lr": 1e-3, "weight_decay": 0.1, "amsgrad": True, "no_decay": ["*.bias", "*ln_*"]}}
    ckpt.succeed("train", config("gpt", tmp_path, data, steps=3, optimizer=optimizer), "--quiet")
    ckpt.succeed("convert", tmp_path / "run/step-00000003.h5", tmp_path / "x.pt")
    checkpoint = load_safely(tmp_path / "x.pt")
    run = TorchRun("gpt", seed=99)
    run.model.load_state_dict(checkpoint["model"], strict=True)
    named = dict(run.model.named_parameters())
    groups = checkpoint["optimizer"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.1, 0]
    own = torch.optim.AdamW([{"params": [named[n] for n in group["param_names"]]} for group in groups], amsgrad=True)
    own.load_state_dict(checkpoint["optimizer"])
    for parameter in named.values():
        parameter.grad = torch.ones_like(parameter)
    own.step()
    assert {int(state["step"]) for state in own.state.values()} == {4}
    assert all({"exp_avg", "exp_avg_sq", "max_exp_avg_sq"} <= set(state) for state in own.state.values())
