"""A fresh model and optimizer that load what came back take the same next steps, bit for bit."""

import random

import pytest
import torch
from checkpoints import load_safely
from equality import assert_same
from training import RUNS, tiny_model, train

STEPS = 3


def resumed(make, checkpoint):
    run = make(seed=999)
    run.load(checkpoint)
    for _ in range(STEPS):
        run.step()
    return run.checkpoint()


def uninterrupted(make, steps):
    run = make()
    for _ in range(steps + STEPS):
        run.step()
    return run.checkpoint()


@pytest.mark.parametrize("name", RUNS)
def test_torch_itself_resumes(name, tmp_path):
    """The test's own footing: with torch's own save and load, a resumed run is the uninterrupted one."""
    make, steps = RUNS[name]
    run = make()
    for _ in range(steps):
        run.step()
    torch.save(run.checkpoint(), tmp_path / "a.pt")
    assert_same(uninterrupted(make, steps), resumed(make, load_safely(tmp_path / "a.pt")))


@pytest.mark.parametrize("name", RUNS)
def test_next_steps_are_the_same(journey, name):
    make, _ = RUNS[name]
    trip = journey(name)
    expected = resumed(make, load_safely(trip.pt))
    assert_same(expected, resumed(make, load_safely(trip.back)))


def test_generators_go_on(journey):
    trip = journey("transformer_adamw.pt")
    draws = []
    for path in (trip.pt, trip.back):
        checkpoint = load_safely(path)
        torch.set_rng_state(checkpoint["rng"])
        random.setstate(checkpoint["python_rng"])
        draws.append((torch.rand(5).tolist(), torch.randn(5).tolist(), random.random(), random.gauss(0, 1)))
    assert draws[0] == draws[1]


OPTIMIZERS = {
    "sgd_momentum.pt": lambda model: torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True),
    "adam_tensor_lr.pt": lambda model: torch.optim.Adam(model.parameters(), lr=torch.tensor(0.01)),
    "adam_int_step.pt": lambda model: torch.optim.AdamW(model.parameters()),
    "optimizer_param_names.pt": lambda model: torch.optim.AdamW(model.named_parameters()),
    "optimizer_partial_state.pt": lambda model: torch.optim.AdamW(model.parameters()),
    "optimizer_unstepped.pt": lambda model: torch.optim.AdamW(model.parameters()),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_other_optimizers_go_on(journey, name):
    trip = journey(name)
    ends = [trained_from(load_safely(path), OPTIMIZERS[name]) for path in (trip.pt, trip.back)]
    assert_same(*ends)


def trained_from(checkpoint, make_optimizer):
    model = tiny_model(seed=999)
    optimizer = make_optimizer(model)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    train(model, optimizer, steps=2)
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
