"""Energy and emissions of trainings, by numbers worked out by hand."""

import pytest

from shallower.reporting.footprint import Power, footprint, footprint_text

ON_CPU = {"device": "cpu", "threads": 4, "train_seconds": 1800.0, "seed": 1}
ON_GPU = {"device": "cuda", "threads": 4, "train_seconds": 3600.0}


def test_cores_are_counted_as_long_as_a_training_lasts():
    found = footprint([ON_CPU, {**ON_CPU, "threads": 1}], Power(watts_per_core=10, grams_per_kwh=400))
    assert (found["trainings"], found["hours"], found["core_hours"], found["gpu_hours"]) == (2, 1.0, 2.5, 0)
    assert found["kwh"] == pytest.approx(0.025)  # 10 W for 2.5 hours
    assert found["grams_co2e"] == pytest.approx(10)
    assert found["estimated"] is True


def test_a_training_on_a_gpu_uses_its_share_and_one_core():
    power = Power(watts_per_core=10, watts_per_gpu=300, grams_per_kwh=100)
    assert footprint([ON_GPU], power)["kwh"] == pytest.approx(0.31)
    assert footprint([ON_GPU, {**ON_GPU, "seed": 2}], power, runs_per_gpu=2)["kwh"] == pytest.approx(0.32)


def test_copied_trainings_are_not_counted_again():
    copied = {**ON_CPU, "trained_as": "results/a/seed1"}
    assert footprint([ON_CPU, copied]) == footprint([ON_CPU])
    # Whichever of them are left: none of these is the training itself.
    assert footprint([{**copied, "trained_as": folder} for folder in ("a", "b")]) == footprint([ON_CPU])
    assert footprint([copied, {**copied, "seed": 2}])["trainings"] == 2


def test_a_study_without_trainings_used_nothing():
    found = footprint([])
    assert (found["trainings"], found["kwh"], found["grams_co2e"]) == (0, 0, 0)


def test_the_sentence_names_what_was_assumed():
    found = footprint([ON_CPU], Power(watts_per_core=10, grams_per_kwh=500))
    assert footprint_text(found) == (
        "Training took about 0.02 kWh and emitted about 10 g of CO2e, estimated from 10 W for each core "
        "and 500 g of CO2e for each kWh"
    )
    large = footprint([{**ON_CPU, "train_seconds": 1e8}], Power(watts_per_core=10, grams_per_kwh=500))
    assert "about 1,100 kWh and emitted about 560,000 g" in footprint_text(large)
    assert "200 W for each GPU" in footprint_text(footprint([ON_GPU]))
