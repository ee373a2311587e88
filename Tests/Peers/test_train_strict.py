"""`ckpt train --resume x.pt`: all that does not fit is told at once, nothing is guessed, and nothing is written then."""

import numpy as np
import pytest
import torch
from train_runs import CASES, TorchRun, column, config, step_file


class Start:
    """Ten steps of the mlp in torch, and a config that goes on from there."""

    def __init__(self, ckpt, folder, optimizer=None, **settings):
        self.ckpt, self.folder = ckpt, folder
        self.data, batches = CASES["mlp"].data(folder)
        run = TorchRun("mlp", optimizer)
        run.train(batches, 10)
        self.checkpoint = run.checkpoint()
        self.config = config("mlp", folder, self.data, steps=20, **settings)

    def train(self, code, *words):
        torch.save(self.checkpoint, self.folder / "x.pt")
        result = self.ckpt.expect(code, "train", self.config, "--resume", self.folder / "x.pt", *words)
        if code:
            assert not (self.folder / "run").exists(), result
            assert "x.pt" in result.err and len(result.err.splitlines()) == 2, f"one report: {result}"
        return result

    def tree(self):
        self.ckpt.succeed("convert", step_file(self.folder / "run", 20), self.folder / "after.pt")
        return torch.load(self.folder / "after.pt", weights_only=True)


@pytest.fixture
def start(ckpt, tmp_path):
    return Start(ckpt, tmp_path)


def spoil_model(checkpoint):
    model = checkpoint["model"]
    del model["0.bias"]
    model["2.weight"] = torch.zeros(7, 9)
    model["9.extra"] = torch.zeros(3)


def test_everything_that_does_not_fit_is_in_one_report(start):
    spoil_model(start.checkpoint)
    state = start.checkpoint["optimizer"]["state"]
    # 4.bias has none, and 4.weight's has another shape.
    del state[5]
    state[4]["exp_avg"] = torch.zeros(2, 2)
    result = start.train(64)
    model, optimizer = result.err.split("; and ")
    assert "missing: 0.bias" in model and "unexpected: 9.extra" in model and "'2.weight'" in model, result
    assert "4.bias" in optimizer and "4.weight" in optimizer and "exp_avg" in optimizer, result


def test_one_report_where_torch_keeps_names_too(start):
    """A parameter that is not here, and one whose state was lost."""
    optimizer = start.checkpoint["optimizer"]
    [group] = optimizer["param_groups"]
    group["param_names"] = [f"{i}.{kind}" for i in (0, 2, 4) for kind in ("weight", "bias")] + ["9.extra"]
    group["params"].append(6)
    optimizer["state"][6] = optimizer["state"].pop(3)
    result = start.train(64)
    assert "unexpected" in result.err and "9.extra" in result.err and "2.bias" in result.err, result


def test_a_model_that_does_not_fit_and_no_optimizer_are_one_report(start):
    spoil_model(start.checkpoint)
    del start.checkpoint["optimizer"]
    result = start.train(64)
    for word in ("0.bias", "2.weight", "9.extra", "optimizer"):
        assert word in result.err, result


def test_a_model_and_no_optimizer_are_no_run(start):
    del start.checkpoint["optimizer"]
    result = start.train(65)
    assert "optimizer" in result.err and "init" in result.err, "it says how to take the weights alone"


def test_state_that_one_parameter_lost_is_not_made_up(start):
    del start.checkpoint["optimizer"]["state"][3]
    assert "2.bias" in start.train(64).err
    assert "2.bias" in start.train(64, "--allow-missing", "2.bias").err, "that would be the model's"
    start.train(0, "--allow-missing", "optimizer.2.bias")
    state = start.tree()["optimizer"]["state"]
    assert [int(entry["step"]) for entry in state.values()] == [20, 20, 20, 10, 20, 20]


@pytest.mark.parametrize("optimizer,name", [
    (lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9), "SGD"),
    (lambda parameters: torch.optim.RMSprop(parameters, lr=0.01), "RMSprop"),
    (lambda parameters: torch.optim.Adagrad(parameters, lr=0.01), "Adagrad"),
])
def test_state_of_another_algorithm_is_refused_by_its_name(ckpt, tmp_path, optimizer, name):
    result = Start(ckpt, tmp_path, optimizer).train(64)
    assert name in result.err and "AdamW" in result.err, result


def test_allowed_by_name_and_by_no_more(start):
    model = start.checkpoint["model"]
    del model["0.bias"], model["4.bias"]
    model["9.extra"] = model["9.more"] = torch.zeros(3)
    few = start.train(64, "--allow-missing", "0.bias", "--allow-unexpected", "9.e*")
    assert "4.bias" in few.err and "9.more" in few.err and "0.bias" not in few.err and "9.extra" not in few.err, few
    result = start.train(0, "--allow-missing", "*.bias", "--allow-unexpected", "9.*")
    for name in ("0.bias", "4.bias", "9.extra", "9.more"):
        assert name in result.err, f"what was left out is told: {result}"
    assert list(start.tree()["model"]) == [f"{i}.{kind}" for i in (0, 2, 4) for kind in ("weight", "bias")]


OTHER = lambda parameters: torch.optim.AdamW(parameters, lr=5e-4, weight_decay=0.3, betas=(0.8, 0.99))  # noqa: E731


@pytest.mark.parametrize("words,lr,weight_decay,betas", [
    ([], 5e-4, 0.3, (0.8, 0.99)),
    (["--hyperparameters", "config"], 1e-3, 0.01, (0.9, 0.999)),
    (["--set", "optimizer.adamw.lr=0.002"], 2e-3, 0.3, (0.8, 0.99)),
    (["--set", "optimizer.adamw.weight_decay=0", "--set", "optimizer.adamw.betas=[0.5, 0.6]"], 5e-4, 0, (0.5, 0.6)),
    (["--hyperparameters", "config", "--set", "optimizer.adamw.lr=0.002"], 2e-3, 0.01, (0.9, 0.999)),
])
def test_whose_hyperparameters_count(ckpt, tmp_path, words, lr, weight_decay, betas):
    start = Start(ckpt, tmp_path, OTHER)
    start.train(0, *words)
    assert column(tmp_path / "run", "lr") == [lr] * 10
    group = start.tree()["optimizer"]["param_groups"][0]
    assert (group["lr"], group["weight_decay"], tuple(group["betas"])) == (lr, weight_decay, betas)


def test_a_set_rate_wins_in_a_run_of_our_own_too(ckpt, tmp_path):
    data, _ = CASES["mlp"].data(tmp_path)
    path = config("mlp", tmp_path, data, steps=20, schedule={"cosine": {}})
    ckpt.succeed("train", path, "--steps", 10, "--quiet")
    ckpt.succeed("train", "--resume", tmp_path / "run", "--set", "optimizer.adamw.lr=0.01", "--quiet")
    rates = np.array(column(tmp_path / "run", "lr"))
    expected = np.where(np.arange(20) < 10, 1e-3, 1e-2) * (1 + np.cos(np.pi * np.arange(20) / 20)) / 2
    np.testing.assert_allclose(rates, expected, rtol=1e-9)
