"""Colours of figures, static and interactive; without imports of packages, since pages need nothing else of these."""

from shallower.core.variants import INT8, ONNX, TORCH

INK, SOFT, BASELINE_COLOUR, BEST_COLOUR, BUDGET_COLOUR = "#1b1f24", "#59636e", "#3b444d", "#b9c2cb", "#b3400a"
# Of Okabe and Ito, the green a little darker, so that white numbers can be read on it.
RUNTIME_COLOURS = {TORCH: "#0072b2", ONNX: "#e69f00", INT8: "#007f5f"}
# Of the numbers of layers inside the filled markers.
NUMBER_COLOURS = {TORCH: "#ffffff", ONNX: INK, INT8: "#ffffff"}
