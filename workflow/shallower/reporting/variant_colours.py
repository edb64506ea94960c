"""Colours of figures over variants, static and interactive; without imports, since pages need nothing else of these."""

from shallower.core.variants import INT8, ONNX, TORCH

# Of Okabe and Ito, the green a little darker, so that white numbers can be read on it.
COLOURS = {TORCH: "#0072b2", ONNX: "#e69f00", INT8: "#007f5f"}
# Of the numbers of layers inside the filled markers.
NUMBER_COLOURS = {TORCH: "#ffffff", ONNX: "#1b1f24", INT8: "#ffffff"}
FULL_MODEL_COLOUR, GREY, FRONTIER_COLOUR, BUDGET_COLOUR = "#1b1f24", "#59636e", "#b9c2cb", "#b3400a"
