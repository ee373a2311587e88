"""Which of an optimizer's tensors is what of which variable: Keras' files do not say it, its own objects do. A wrong one of the
right shape would go unseen, so all shapes here are alike."""

import numpy as np
import pytest
import torch
from make_keras_fixtures import keras  # sets Keras' backend

L, O = keras.layers, keras.optimizers


def chain(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


def attention():
    inputs = keras.Input((4, 6))
    outputs = inputs
    for _ in range(2):
        outputs = L.MultiHeadAttention(2, 3)(outputs, outputs)
    return keras.Model(inputs, outputs)


class Parts(L.Layer):
    """Made in another order than that of the names, which is that of the file."""

    def __init__(self, **options):
        super().__init__(**options)
        self.second, self.first = L.Dense(4), L.Dense(4)

    def build(self, shape):
        self.second.build(shape)
        self.first.build(shape)

    def call(self, x):
        return self.first(self.second(x))


class Whole(keras.Model):
    def __init__(self):
        super().__init__()
        self.z, self.b, self.a = L.Dense(4), L.Dense(4), L.Dense(4)

    def call(self, x):
        return self.a(self.b(self.z(x)))


MODELS = {
    "bidirectional": lambda: chain((5, 4), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Bidirectional(L.GRU(4))),
    "attention": attention,
    "cells": lambda: chain((5, 4), L.RNN([L.LSTMCell(4), L.LSTMCell(4)])),
    "parts": lambda: chain((4,), L.Dense(4), Parts(), L.Dense(4)),
    "whole": Whole,
    "square": lambda: chain((4,), *[L.Dense(4, use_bias=False) for _ in range(3)]),
}
SHAPES = {"bidirectional": (5, 4), "attention": (4, 6), "cells": (5, 4)}
WORDS = {
    "adam": {"momentum": "exp_avg", "velocity": "exp_avg_sq", "velocity_hat": "max_exp_avg_sq"},
    "sgd": {"momentum": "momentum_buffer"},
    "rmsprop": {"velocity": "square_avg", "momentum": "momentum_buffer", "average_gradient": "grad_avg"},
    "adamax": {"momentum": "exp_avg", "norm": "exp_inf"},
    "lion": {"momentum": "exp_avg"},
    "adagrad": {"accumulator": "sum"},
}


def save(name, optimizer, path):
    keras.utils.set_random_seed(3)
    keras.utils.clear_session()
    model = MODELS[name]()
    x = np.random.default_rng(0).standard_normal((8, *SHAPES.get(name, (4,)))).astype("float32")
    model.compile(optimizer, "mse")
    y = np.random.default_rng(1).standard_normal(model(x).shape).astype("float32")
    model.fit(x, y, epochs=3, batch_size=8, verbose=0)
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return model


def told(ckpt, path, tmp_path):
    """(slot, parameter's bytes, slot's bytes) of all that have a slot."""
    ckpt.succeed("convert", path, tmp_path / "arrays.npz")
    arrays = np.load(tmp_path / "arrays.npz")
    listing = ckpt.json("inspect", path, "--json")["tensors"]
    slots = [tensor for tensor in listing if tensor.get("slot") and tensor["slot"] not in ("step", "lr")]
    return {(t["slot"], arrays[t["name"]].tobytes(), arrays[t["path"]].tobytes()) for t in slots}


def true(model, words):
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    variables = {variable.path.replace("/", "_"): variable for variable in inner._trainable_variables}
    found = set()
    for variable in model.optimizer.variables:
        name = variable.path.split("/")[-1]
        for stem, owner in variables.items():
            word = words.get(name.removeprefix(f"{stem}_"))
            if name.startswith(f"{stem}_") and word:
                numbers = [np.asarray(keras.ops.convert_to_numpy(x)).tobytes() for x in (owner, variable)]
                found.add((word, *numbers))
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_slots_are_never_those_of_another_variable(ckpt, tmp_path, name, suffix):
    path = tmp_path / f"model{suffix}"
    model = save(name, O.Adam(0.01), path)
    found = told(ckpt, path, tmp_path)
    if name in ("parts", "whole"):
        assert found == set()
        assert any("keep their numbers" in line for line in ckpt.json("inspect", path, "--json")["warnings"])
    else:
        assert found == true(model, WORDS["adam"]) != set()


OPTIMIZERS = {
    "sgd": (lambda: O.SGD(0.01, momentum=0.9), "sgd"),
    "rmsprop": (lambda: O.RMSprop(0.01), "rmsprop"),
    "rmsprop, momentum": (lambda: O.RMSprop(0.01, momentum=0.9), "rmsprop"),
    "rmsprop, centered": (lambda: O.RMSprop(0.01, centered=True), "rmsprop"),
    "amsgrad": (lambda: O.Adam(0.01, amsgrad=True), "adam"),
    "averages": (lambda: O.Adam(0.01, use_ema=True), "adam"),
    "sums": (lambda: O.Adam(0.01, gradient_accumulation_steps=2), "adam"),
    "scaled": (lambda: O.LossScaleOptimizer(O.Adam(0.01)), "adam"),
    "adamax": (lambda: O.Adamax(0.01), "adamax"),
    "lion": (lambda: O.Lion(0.01), "lion"),
    "adagrad": (lambda: O.Adagrad(0.01), "adagrad"),
}
# Without settings these could be either of two.
UNCLEAR = {"rmsprop, momentum", "rmsprop, centered", "amsgrad", "averages", "sums"}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_slots_of_other_optimizers(ckpt, tmp_path, name, suffix):
    make, words = OPTIMIZERS[name]
    path = tmp_path / f"model{suffix}"
    model = save("square", make(), path)
    found = {slot for slot in told(ckpt, path, tmp_path) if slot[0] not in ("average", "gradient_accumulator")}
    expected = set() if suffix == ".weights.h5" and name in UNCLEAR else true(model, WORDS[words])
    assert found == expected


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_bidirectional_layers_moments_are_in_torchs_order(ckpt, tmp_path, suffix):
    keras.utils.clear_session()
    path = tmp_path / f"model{suffix}"
    model = save("bidirectional", O.Adam(0.01), path)
    ckpt.succeed("convert", path, tmp_path / "a.pt", "--layout", "torch")
    checkpoint = torch.load(tmp_path / "a.pt", weights_only=True)
    network = torch.nn.LSTM(4, 4, batch_first=True, bidirectional=True)
    assert [key.split(".")[1] for key in checkpoint["model"]][:8] == list(network.state_dict())
    layer = model.layers[0]
    moments = {variable.path.split("/")[-1]: variable for variable in model.optimizer.variables}
    for index, half in ((0, layer.forward_layer), (4, layer.backward_layer)):
        expected = moments[half.cell.kernel.path.replace("/", "_") + "_momentum"]
        assert np.array_equal(checkpoint["optimizer"]["state"][index]["exp_avg"].numpy().T, keras.ops.convert_to_numpy(expected))
