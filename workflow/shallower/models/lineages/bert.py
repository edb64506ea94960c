"""BERT and the families that keep its layer."""

from dataclasses import replace

from shallower.models.family import Family

BERT = Family("bert", r"(bert\.)?encoder\.layer\.", "output.dense")

ROBERTA = Family(
    name="roberta",
    layer_pattern=r"(roberta\.)?encoder\.layer\.",
    output_matrix="output.dense",
    output_layer="classifier.out_proj",
    positions_after_padding=True,
    default_padding_id=1,
)

FAMILIES = (
    BERT,
    ROBERTA,
    # The same tensors as RoBERTa's, by the same names; vocabularies and languages are others.
    replace(ROBERTA, name="xlm-roberta"),
    replace(ROBERTA, name="camembert"),
    Family(
        name="distilbert",
        layer_pattern=r"(distilbert\.)?transformer\.layer\.",
        output_matrix="ffn.lin2",
        depth_key="n_layers",
        hidden_key="dim",
        inner_key="hidden_dim",
        heads_key="n_heads",
        token_types_key=None,
        takes_token_types=False,
    ),
    # Small ones have smaller word embeddings, and a matrix behind them. Discriminators and generators have the same
    # names below their heads.
    replace(
        BERT,
        name="electra",
        layer_pattern=r"(electra\.)?encoder\.layer\.",
        output_layer="classifier.out_proj",
        default_embedding_size=128,
    ),
)
