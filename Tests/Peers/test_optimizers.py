"""States of all of torch's optimizers, of others', of every scheduler, scaler and generator: through an .h5 and back."""

import random

import numpy as np
import pytest
import torch
from checkpoints import load_safely
from equality import assert_same, plain
from torch import nn
from torch.optim import lr_scheduler as schedules


class Lion(torch.optim.Optimizer):
    """As its paper has it (Chen et al., 2023): one moment, and only the sign of the update."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure):
        loss = torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                moment = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                update = moment.lerp(p.grad, 1 - group["betas"][0]).sign_()
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])
                moment.lerp_(p.grad, 1 - group["betas"][1])
        return loss


class Nested(torch.optim.Optimizer):
    """As Shampoo keeps its state: dicts and lists in slots, beside numbers, text and None."""

    def __init__(self, params, lr=1e-2, max_preconditioner_dim=8):
        super().__init__(params, {"lr": lr, "max_preconditioner_dim": max_preconditioner_dim, "blocks": [(0, 8), (8, 16)]})

    @torch.no_grad()
    def step(self, closure):
        loss = torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    factors = [torch.eye(size, dtype=torch.float64) for size in p.shape]
                    state |= {"step": 0, "block_0": {"factors": factors, "roots": (None, "eigen"), 7: {}}, "graft": {"kind": "adagrad", "sum": torch.zeros_like(p)}}
                state["step"] += 1
                for axis, factor in enumerate(state["block_0"]["factors"]):
                    g = p.grad.movedim(axis, 0).flatten(1).double()
                    factor += g @ g.T
                state["graft"]["sum"] += p.grad**2
                p.sub_(p.grad / (state["graft"]["sum"].sqrt() + state["block_0"]["factors"][0].trace().float()), alpha=group["lr"])
        return loss


# Algorithm as inspect names it, how it is made, and its slots in order.
OPTIMIZERS = {
    "SGD": ("SGD", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), "momentum_buffer"),
    "SGD plain": ("SGD", lambda p: torch.optim.SGD(p, lr=0.1), ""),
    "RMSprop": ("RMSprop", lambda p: torch.optim.RMSprop(p, momentum=0.9, centered=True), "step square_avg momentum_buffer grad_avg"),
    "Adagrad": ("Adagrad", lambda p: torch.optim.Adagrad(p, lr_decay=0.1), "step sum"),
    "Adadelta": ("Adadelta", torch.optim.Adadelta, "step square_avg acc_delta"),
    "Adam": ("Adam", lambda p: torch.optim.Adam(p, amsgrad=True), "step exp_avg exp_avg_sq max_exp_avg_sq"),
    "AdamW": ("AdamW", torch.optim.AdamW, "step exp_avg exp_avg_sq"),
    "NAdam": ("NAdam", torch.optim.NAdam, "step mu_product exp_avg exp_avg_sq"),
    "RAdam": ("RAdam", torch.optim.RAdam, "step exp_avg exp_avg_sq"),
    "Adamax": ("Adamax", torch.optim.Adamax, "step exp_avg exp_inf"),
    "ASGD": ("ASGD", torch.optim.ASGD, "step eta mu ax"),
    "Rprop": ("Rprop", torch.optim.Rprop, "step prev step_size"),
    "LBFGS": ("LBFGS", lambda p: torch.optim.LBFGS(p, max_iter=3, line_search_fn="strong_wolfe"), "func_evals n_iter d t old_dirs old_stps ro H_diag prev_flat_grad prev_loss al"),
    "SparseAdam": ("SparseAdam", torch.optim.SparseAdam, "step exp_avg exp_avg_sq"),
    "Adafactor": ("Adafactor", torch.optim.Adafactor, "step row_var col_var"),
    "Muon": ("Muon", torch.optim.Muon, "momentum_buffer"),
    "Lion": ("Lion", Lion, "exp_avg"),
    "Shampoo": ("Shampoo", Nested, "step block_0 graft"),
}  # fmt: skip


class Run:
    """A model of matrices (Muon takes nothing else) or, for sparse gradients, an embedding."""

    def __init__(self, name):
        torch.manual_seed(len(name))
        self.sparse = name == "SparseAdam"
        layers = (nn.Embedding(5, 3, sparse=True), nn.Flatten()) if self.sparse else (nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False))
        self.model = nn.Sequential(*layers)
        self.optimizer = OPTIMIZERS[name][1](self.model.parameters())

    def step(self, number):
        inputs = torch.tensor([[number % 5, 1]]) if self.sparse else torch.sin(torch.arange(12.0).view(4, 3) + number)

        def closure():
            self.optimizer.zero_grad()
            loss = (self.model(inputs) - 0.5).square().sum()
            loss.backward()
            return loss

        self.optimizer.step(closure)

    def checkpoint(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": 3}

    def load(self, checkpoint):
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])


def there_and_back(ckpt, value, folder):
    source, h5, back = folder / "a.pt", folder / "a.h5", folder / "b.pt"
    torch.save(value, source)
    ckpt.succeed("convert", source, h5)
    ckpt.succeed("verify", h5)
    ckpt.succeed("convert", h5, back)
    loaded = load_safely(back)
    assert_same(plain(torch.load(source, weights_only=False)), loaded)
    return loaded


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_next_steps_are_the_same(ckpt, name, tmp_path):
    run = Run(name)
    for number in range(3):
        run.step(number)
    fresh, reference = Run(name), Run(name)
    fresh.load(there_and_back(ckpt, run.checkpoint(), tmp_path))
    reference.load(torch.load(tmp_path / "a.pt"))
    for number in range(3, 6):
        for one in (run, fresh, reference):
            one.step(number)
    assert_same(reference.checkpoint(), fresh.checkpoint())
    if name != "Shampoo":  # torch itself turns text in a state into something else, and float64 into float32
        assert_same(run.checkpoint(), fresh.checkpoint())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_inspect_names_algorithm_and_slots(ckpt, name, tmp_path):
    algorithm, _, slots = OPTIMIZERS[name]
    run = Run(name)
    for number in range(3):
        run.step(number)
    torch.save(run.checkpoint(), tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "a.h5")
    for file in ("a.pt", "a.h5"):
        report = ckpt.json("inspect", tmp_path / file)
        section = next(section for section in report["sections"] if section["kind"] == "optimizer")
        assert section["algorithm"] == algorithm
        assert sorted(section["slots"]) == sorted(slots.split())
        assert section["groups"][0]["params"] == [name for name, _ in run.model.named_parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whole_optimizers_are_their_state_dicts(ckpt, name, tmp_path):
    """`torch.save(optimizer)`: the state is kept by parameter, which no safe loader takes."""
    run = Run(name)
    run.step(0)
    torch.save({"model": run.model, "optimizer": run.optimizer}, tmp_path / "a.pt")
    ckpt.succeed("convert", tmp_path / "a.pt", tmp_path / "a.h5")
    assert ckpt.json("diff", tmp_path / "a.pt", tmp_path / "a.h5")["equal"]
    ckpt.succeed("convert", tmp_path / "a.h5", tmp_path / "b.pt")
    loaded = load_safely(tmp_path / "b.pt")
    assert_same(plain(run.optimizer.state_dict()), loaded["optimizer"])
    fresh, reference = Run(name), Run(name)
    fresh.load(loaded)
    reference.load(run.checkpoint())
    fresh.step(1)
    reference.step(1)
    assert_same(reference.checkpoint(), fresh.checkpoint())


def test_parameters_of_a_whole_optimizer_are_named(ckpt, tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    model.register_buffer("odd", torch.ones(3))
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay}, {"params": rest, "weight_decay": 0}])
    model(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    torch.save({"model": model, "optimizer": optimizer}, tmp_path / "a.pt")
    groups = next(s for s in ckpt.json("inspect", tmp_path / "a.pt")["sections"] if s["kind"] == "optimizer")["groups"]
    assert [group["params"] for group in groups] == [["0.weight", "2.weight"], ["0.bias", "1.weight", "1.bias", "2.bias"]]


def quarter(epoch):
    return 0.25**epoch


class Warmup:
    """A callable whose attributes `LambdaLR` saves."""

    def __init__(self, steps):
        self.steps, self.seen = steps, []

    def __call__(self, epoch):
        self.seen.append(epoch)
        return min(1.0, (epoch + 1) / self.steps)


SCHEDULERS = {
    "LambdaLR function": lambda o: schedules.LambdaLR(o, quarter),
    "LambdaLR object": lambda o: schedules.LambdaLR(o, Warmup(4)),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda epoch: 0.95),
    "StepLR": lambda o: schedules.StepLR(o, 2),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [2, 3, 3, 9]),
    "ConstantLR": lambda o: schedules.ConstantLR(o, 0.5, total_iters=4),
    "LinearLR": lambda o: schedules.LinearLR(o, total_iters=8),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, 8, 2.0),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 8),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.01, 0.1, 3, mode="triangular2"),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 0.3, total_steps=20),
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: schedules.SequentialLR(o, [schedules.LinearLR(o), schedules.CosineAnnealingLR(o, 4)], [3]),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler([schedules.LinearLR(o), schedules.ExponentialLR(o, 0.9)]),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, 0.05, 4),
}  # fmt: skip


def advance(scheduler, count):
    rates = []
    for number in range(count):
        scheduler.optimizer.step()
        scheduler.step(1.0 + number) if isinstance(scheduler, schedules.ReduceLROnPlateau) else scheduler.step()
        rates.append([group["lr"] for group in scheduler.optimizer.param_groups])
    return rates


def scheduled(name):
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))]
    groups = [{"params": weights[:1], "lr": 0.1}, {"params": weights[1:], "lr": 0.2}]
    scheduler = SCHEDULERS[name](torch.optim.SGD(groups, momentum=0.9))
    scheduler.optimizer = getattr(scheduler, "optimizer", None) or scheduler._schedulers[0].optimizer
    return scheduler


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_go_on(ckpt, name, tmp_path):
    scheduler, fresh = scheduled(name), scheduled(name)
    advance(scheduler, 4)
    state = {"scheduler": scheduler.state_dict(), "optimizer": scheduler.optimizer.state_dict()}
    loaded = there_and_back(ckpt, state, tmp_path)
    fresh.optimizer.load_state_dict(loaded["optimizer"])
    fresh.load_state_dict(loaded["scheduler"])
    assert advance(scheduler, 6) == advance(fresh, 6)


def test_a_scaler_goes_on(ckpt, tmp_path):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler, fresh = torch.amp.GradScaler("cpu", growth_interval=3), torch.amp.GradScaler("cpu")
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        (scaler.scale(model(torch.ones(1, 2)).sum()) * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    state = scaler.state_dict()
    assert state["scale"] == 32768.0 and state["_growth_tracker"] == 1
    fresh.load_state_dict(there_and_back(ckpt, {"scaler": state, "model": model.state_dict()}, tmp_path)["scaler"])
    assert fresh.state_dict() == state


def test_generators_go_on(ckpt, tmp_path):
    """What the safe loader refuses of NumPy's comes back as its plain form, from which NumPy goes on all the same."""
    legacy, generator = np.random.RandomState(3), np.random.default_rng(4)
    python, device = random.Random(5), torch.Generator().manual_seed(6)
    draws = lambda: (legacy.standard_normal(), generator.random(), python.gauss(0, 1), torch.randn(3, generator=device).tolist())  # noqa: E731
    draws()
    state = {
        "numpy_legacy": legacy.get_state(), "numpy": generator.bit_generator.state, "python": python.getstate(),
        "torch": device.get_state(), "torch_default": torch.get_rng_state(),
    }  # fmt: skip
    loaded = there_and_back(ckpt, {"rng": state}, tmp_path)["rng"]
    expected = draws()
    name, keys, *rest = loaded["numpy_legacy"]
    legacy.set_state((name, keys.numpy(), *rest))
    generator.bit_generator.state = loaded["numpy"]
    python.setstate(loaded["python"])
    device.set_state(loaded["torch"])
    assert draws() == expected
