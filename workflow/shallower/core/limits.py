"""Limits that several packages share."""

# Tokens of a batch without training on a CPU, unless a single text is longer; requests of memory go by it.
CPU_TOKENS = 1024

# Bytes of text that are tokenized in one call, unless a single text is longer.
TEXT_BYTES = 1_000_000

# The same with gradients.
GRADIENT_TOKENS = 1024

# Most words that readouts are fitted on and judged by: sentences have many, and a readout of all of them takes minutes.
READOUT_WORDS = 2000
