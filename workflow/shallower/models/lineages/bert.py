"""BERT and the families that keep its layer."""

from shallower.models.family import Family

FAMILIES = (
    Family("bert", r"(bert\.)?encoder\.layer\.", "output.dense"),
    Family(
        name="roberta",
        layer_pattern=r"(roberta\.)?encoder\.layer\.",
        output_matrix="output.dense",
        output_layer="classifier.out_proj",
        positions_after_padding=True,
        default_padding_id=1,
    ),
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
)
