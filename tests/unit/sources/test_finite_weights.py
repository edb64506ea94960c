"""Numbers that are not finite, in every type that has them."""

import pytest
import torch
from safetensors.torch import save_file

from shallower.core.errors import UserError
from shallower.sources import finite_weights
from shallower.sources.finite_weights import check_finite


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_number_is_found_wherever_it_is(tmp_path, monkeypatch, dtype, value):
    monkeypatch.setattr(finite_weights, "CHUNK", 4)
    file = tmp_path / "model.safetensors"
    limits = torch.finfo(dtype)
    sound = torch.tensor([0.0, -0.0, limits.max, limits.min, limits.tiny, 1.0, -1.0, 2.0, 3.0], dtype=dtype)
    other = torch.arange(3)  # integers are not looked at
    save_file({"a": sound, "b": other, "empty": torch.zeros(0)}, file)
    check_finite(file)
    for place in (0, 5, 8):
        spoilt = sound.clone()
        spoilt[place] = value
        save_file({"a": sound, "b": other, "c": spoilt}, file)
        with pytest.raises(UserError, match=r"model\.safetensors: c has 1 or more numbers that are not finite"):
            check_finite(file)
