"""`ckpt train` against torch: the same losses from the same weights, and runs that go from one to the other and back."""

import functools
import itertools

import numpy as np
import pytest
import torch
from checkpoints import load_safely
from conftest import FIXTURES
from torch import nn
from train_runs import CASES, WIDTH, TorchRun, column, config, cosine_with_warmup, losses, step_file

# Both sides compute in float32; sums are taken in another order, and what differs grows with the steps.
TOLERANCE = 1e-5
# Of the largest number in a weight: Adam makes a step of a whole lr of any gradient, however small and inexact.
WEIGHT_TOLERANCE = 1e-4


def assert_close_weights(a, b):
    assert list(a) == list(b)
    for name in a:
        x, y = a[name], b[name]
        if x.dtype == torch.int64:
            assert torch.equal(x, y), name
            continue
        if name.endswith("c_attn.bias"):
            # A key's bias changes no attention: its gradient is rounding alone, of which Adam makes steps of any size.
            x, y = (torch.cat([bias[:WIDTH], bias[2 * WIDTH :]]) for bias in (x, y))
        atol = WEIGHT_TOLERANCE * y.abs().max().item()
        torch.testing.assert_close(x, y, rtol=0, atol=atol, msg=lambda text: f"{name}: {text}")


@pytest.mark.parametrize("name", CASES)
def test_losses_are_torchs(ckpt, name, tmp_path):
    data, batches = CASES[name].data(tmp_path)
    run = TorchRun(name)
    torch.save(run.model.state_dict(), tmp_path / "start.pt")
    ckpt.succeed("train", config(name, tmp_path, data, steps=100, init="start.pt"), "--quiet")
    run.train(batches, 100)
    np.testing.assert_allclose(losses(tmp_path / "run"), run.losses, rtol=TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_losses_are_torchs_with_all_that_comes_between_gradient_and_step(ckpt, name, tmp_path):
    data, batches = CASES[name].data(tmp_path)
    schedule = {"warmup": 10, "total": 90, "min_lr": 1e-5}
    run = TorchRun(name, accumulate=2, clip_grad_norm=0.5, scheduler=functools.partial(cosine_with_warmup, **schedule))
    torch.save(run.model.state_dict(), tmp_path / "start.pt")
    path = config(
        name, tmp_path, data, steps=90, init="start.pt", accumulate=2, clip_grad_norm=0.5, schedule={"cosine": schedule})
    ckpt.succeed("train", path, "--quiet")
    rates = []
    for _ in range(90):
        rates.append(run.optimizer.param_groups[0]["lr"])
        run.train(batches, 1)
    np.testing.assert_allclose(column(tmp_path / "run", "lr"), rates, rtol=1e-9)
    np.testing.assert_allclose(column(tmp_path / "run", "grad_norm"), run.norms, rtol=1e-3)
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
    assert_close_weights(last.model.state_dict(), whole.model.state_dict())
    assert {int(state["step"]) for state in last.optimizer.state_dict()["state"].values()} == {150}


OPTIMIZERS = {
    "adam": (lambda ps: torch.optim.Adam(ps, lr=1e-3, weight_decay=0.1, amsgrad=True), {"weight_decay": 0.1, "amsgrad": True}),
    "rmsprop": (lambda ps: torch.optim.RMSprop(ps, lr=1e-3, centered=True, momentum=0.5), {"lr": 1e-3, "centered": True, "momentum": 0.5}),
    "adagrad": (lambda ps: torch.optim.Adagrad(ps, lr=0.01, lr_decay=0.01), {"lr_decay": 0.01}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_other_optimizers_go_there_and_back(ckpt, name, tmp_path):
    make, options = OPTIMIZERS[name]
    data, batches = CASES["mlp"].data(tmp_path)
    same, batches = itertools.tee(batches)
    whole, first, last = (TorchRun("mlp", make, seed=seed) for seed in (5, 5, 99))
    whole.train(same, 75)
    first.train(batches, 25)
    torch.save(first.checkpoint(), tmp_path / "first.pt")
    path = config("mlp", tmp_path, data, steps=50, optimizer={name: options})
    ckpt.succeed("train", path, "--resume", tmp_path / "first.pt", "--quiet")
    ckpt.succeed("convert", step_file(tmp_path / "run", 50), tmp_path / "second.pt")
    last.load(load_safely(tmp_path / "second.pt"))
    last.train(itertools.islice(batches, 25, None), 25)
    np.testing.assert_allclose(losses(tmp_path / "run"), whole.losses[25:50], rtol=TOLERANCE)
    np.testing.assert_allclose(last.losses, whole.losses[50:], rtol=TOLERANCE)
    assert_close_weights(last.model.state_dict(), whole.model.state_dict())


def test_sgd_counts_no_steps_so_that_the_data_begin_anew(ckpt, tmp_path):
    data, batches = CASES["mlp"].data(tmp_path)
    run = TorchRun("mlp", lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True))
    run.train(itertools.islice(batches, 7), 7)
    torch.save(run.checkpoint(), tmp_path / "first.pt")
    optimizer = {"sgd": {"lr": 0.05, "momentum": 0.9, "nesterov": True}}
    path = config("mlp", tmp_path, data, steps=25, optimizer=optimizer)
    result = ckpt.succeed("train", path, "--resume", tmp_path / "first.pt")
    assert "counts no steps" in result.err, result
    _, batches = CASES["mlp"].data(tmp_path)
    run.train(batches, 25)
    np.testing.assert_allclose(losses(tmp_path / "run"), run.losses[7:], rtol=TOLERANCE)
    ckpt.succeed("convert", step_file(tmp_path / "run", 25), tmp_path / "second.pt")
    last = TorchRun("mlp", run.optimizer.__class__, seed=99)
    last.load(load_safely(tmp_path / "second.pt"))
    assert_close_weights(last.model.state_dict(), run.model.state_dict())
    buffers = [[state["momentum_buffer"] for state in one.optimizer.state.values()] for one in (last, run)]
    torch.testing.assert_close(*buffers, rtol=1e-3, atol=1e-6)


def test_groups_are_matched_by_name_where_torch_keeps_names(ckpt, tmp_path):
    """Torch has the biases in its first group, here they are in the second."""
    def make(named):
        named = list(named)
        groups = [[pair for pair in named if pair[0].endswith(end)] for end in ("bias", "weight")]
        return torch.optim.AdamW([{"params": groups[0], "weight_decay": 0}, {"params": groups[1]}], lr=1e-3, weight_decay=0.1)

    data, batches = CASES["mlp"].data(tmp_path)
    run = TorchRun("mlp")
    run.optimizer = make(run.model.named_parameters())
    run.train(batches, 25)
    torch.save(run.checkpoint(), tmp_path / "first.pt")
    optimizer = {"adamw": {"lr": 0.5, "weight_decay": 0.5, "no_decay": ["*.bias"]}}
    path = config("mlp", tmp_path, data, steps=50, optimizer=optimizer)
    ckpt.succeed("train", path, "--resume", tmp_path / "first.pt", "--quiet")
    run.train(batches, 25)
    np.testing.assert_allclose(losses(tmp_path / "run"), run.losses[25:], rtol=TOLERANCE)


def test_validation_and_averages_are_torchs(ckpt, tmp_path):
    """The loss on other data with the running statistics of batch norm, and the moving average of the weights."""
    data, batches = CASES["cnn"].data(tmp_path)
    x, y = (torch.from_numpy(array[:77]) for array in dict(np.load(tmp_path / "data.npz")).values())
    np.savez(tmp_path / "validation.npz", x=x, y=y)
    run = TorchRun("cnn")
    torch.save(run.model.state_dict(), tmp_path / "start.pt")
    path = config(
        "cnn", tmp_path, data, steps=40, init="start.pt", ema=0.9, evaluate={"every": 20},
        validation=data | {"file": "validation.npz"})
    ckpt.succeed("train", path, "--quiet")
    average = torch.optim.swa_utils.AveragedModel(
        run.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    expected = []
    for step in range(1, 41):
        run.train(batches, 1)
        average.update_parameters(run.model)
        if step % 20 == 0:
            with torch.no_grad():
                expected.append(nn.functional.cross_entropy(run.model.eval()(x), y).item())
    np.testing.assert_allclose(column(tmp_path / "run", "val_loss"), expected, rtol=TOLERANCE)
    ckpt.succeed("convert", step_file(tmp_path / "run", 40), tmp_path / "x.pt")
    ours = TorchRun("cnn", seed=99).model
    ours.load_state_dict(load_safely(tmp_path / "x.pt")["ema"], strict=True)
    assert_close_weights(dict(ours.named_parameters()), dict(average.module.named_parameters()))


def test_what_torchs_scheduler_has_made_of_the_rate_stays(ckpt, tmp_path):
    """Here no schedule is asked for: the rate is the one that torch's group has, and not the one it began with."""
    data, batches = CASES["mlp"].data(tmp_path)
    run = TorchRun("mlp", scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 20, gamma=0.5))
    run.train(batches, 50)
    rate = run.optimizer.param_groups[0]["lr"]
    assert rate == 0.25e-3 and run.optimizer.param_groups[0]["initial_lr"] == 1e-3
    checkpoint = run.checkpoint()
    torch.save(checkpoint | {"scheduler": run.scheduler.state_dict()}, tmp_path / "first.pt")
    ckpt.succeed("train", config("mlp", tmp_path, data, steps=80), "--resume", tmp_path / "first.pt", "--quiet")
    run.scheduler = None
    run.train(batches, 30)
    assert column(tmp_path / "run", "lr") == [rate] * 30
    np.testing.assert_allclose(losses(tmp_path / "run"), run.losses[50:], rtol=TOLERANCE)


@pytest.mark.parametrize("kind", ["pt", "h5", "whole.pt"])
def test_first_weights_from_files_of_many_kinds(ckpt, kind, tmp_path):
    data, batches = CASES["mlp"].data(tmp_path)
    run = TorchRun("mlp")
    start = tmp_path / f"start.{kind}"
    match kind:
        case "pt": torch.save(run.model.state_dict(), start)
        case "whole.pt": torch.save(run.checkpoint(), start)
        case "h5":
            torch.save(run.checkpoint(), tmp_path / "start.pt")
            ckpt.succeed("convert", tmp_path / "start.pt", start)
    ckpt.succeed("train", config("mlp", tmp_path, data, steps=3, init=start.name), "--quiet")
    run.train(batches, 3)
    np.testing.assert_allclose(losses(tmp_path / "run"), run.losses, rtol=1e-6)


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


DIGITS = {
    "digits-mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, 10)),
    "digits-cnn": lambda: nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, 10)),
}


@pytest.mark.parametrize("name", DIGITS)
def test_the_examples_learn_to_read_digits(ckpt, name, tmp_path):
    """Torch itself finds 97 % of the digits that the run never saw right, with the weights of the last checkpoint."""
    result = ckpt.json("train", FIXTURES / f"examples/{name}.yaml", "--out", tmp_path / "run")
    ckpt.succeed("convert", result["checkpoint"], tmp_path / "x.pt")
    model = DIGITS[name]()
    model.load_state_dict(load_safely(tmp_path / "x.pt")["model"], strict=True)
    digits = np.load(FIXTURES / "examples/digits-test.npz")
    with torch.no_grad():
        found = model.eval()(torch.from_numpy(digits["x"])).argmax(1).numpy()
    accuracy = (found == digits["y"]).mean()
    assert accuracy >= 0.97
    assert result["val_accuracy"] == pytest.approx(accuracy, abs=0.01), "what the run says of itself"
