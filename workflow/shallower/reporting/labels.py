"""Labels of origins in figures, pages and sentences."""

ORIGIN_TITLES = {
    "pretrained": "dropped from the pre-trained model",
    "finetuned": "dropped from the fine-tuned model",
    "finetuned-frozen": "frozen while fine-tuning, then dropped",
    "gradual": "dropped one by one while fine-tuning",
}


def origin_title(name: str) -> str:
    """A few words for an origin; its name where it has none."""
    return ORIGIN_TITLES.get(name, name)
