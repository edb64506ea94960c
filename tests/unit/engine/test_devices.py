"""Devices: what "auto" means here, and refusals of what the machine cannot do."""

import os

import numpy as np
import pytest
import torch

import tiny
from shallower.core.errors import UserError
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute, _copied_together, all_to_device, choose_compute
from token_sets import make_tokens


@pytest.fixture(autouse=True)
def keep_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def with_gpu(monkeypatch, bf16):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)


def test_auto_without_a_gpu_is_fp32_on_the_cpu(monkeypatch):
    without_gpu(monkeypatch)
    compute = choose_compute("auto", "auto", 2)
    assert (compute.device, compute.precision, compute.threads) == ("cpu", "fp32", 2)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_with_a_gpu_is_bf16_where_it_has_it(monkeypatch, bf16, precision):
    with_gpu(monkeypatch, bf16)
    compute = choose_compute("auto", "auto", 1)
    assert (compute.device, compute.precision) == ("cuda", precision)


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (("cuda", "auto", 1), "no GPU"),
        (("tpu", "auto", 1), "'tpu'"),
        (("cpu", "fp16", 1), "'fp16'"),
        (("cpu", "auto", 0), "threads"),
    ],
)
def test_what_cannot_be_is_refused(monkeypatch, arguments, culprit):
    without_gpu(monkeypatch)
    with pytest.raises(UserError, match=culprit):
        choose_compute(*arguments)


def test_bf16_on_a_gpu_without_it_is_refused(monkeypatch):
    with_gpu(monkeypatch, bf16=False)
    with pytest.raises(UserError, match="bf16"):
        choose_compute("cuda", "bf16", 1)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("bert", {"input_ids", "attention_mask", "token_type_ids"}),
        ("distilbert", {"input_ids", "attention_mask"}),
        ("xlnet", {"input_ids", "attention_mask", "token_type_ids", "use_mems"}),
    ],
)
def test_a_model_gets_the_inputs_that_it_takes(tmp_path, family, names):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=2), 4, pair=True)
    model = load_checked(tmp_path)
    inputs = model_inputs(model, make_batch(tokens, np.arange(4)), "cpu")
    assert set(inputs) == names


ARRAYS = [
    np.arange(7),
    np.ones((2, 1, 1, 3), np.float32),
    np.arange(5, dtype=np.int32)[::2],
    np.arange(2.0),
    np.ones(0),
]


@pytest.mark.parametrize("copied", [all_to_device, lambda *given: _copied_together(*given, pin=False)])
def test_arrays_that_are_copied_together_stay_what_they_are(copied):
    for array, tensor in zip(ARRAYS, copied(ARRAYS, "cpu"), strict=True):
        assert tensor.numpy().dtype == array.dtype
        assert np.array_equal(tensor.numpy(), array)
        assert tensor.is_contiguous()


def test_nothing_is_set_for_a_cpu_to_give_the_same_bits():
    with Compute("cpu", "fp32", 1).same_every_time():
        assert not torch.are_deterministic_algorithms_enabled()


def test_a_gpu_gives_the_same_bits_while_asked_to(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with pytest.raises(ZeroDivisionError), Compute("cuda", "fp32", 1).same_every_time():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
