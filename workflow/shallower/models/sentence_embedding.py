"""Models whose answer is a vector of a text: what the files of sentence-transformers say of pooling, read and written.

A folder of sentence-transformers lists its modules in modules.json: a Transformer, a Pooling and perhaps a Normalize.
What they say is kept in one entry of config.json, which goes wherever the model goes, and from which the files are
written again. Plain JSON; neither torch nor sentence-transformers is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, write_json
from shallower.models.folder import CONFIG, copy_tokenizer
from shallower.models.size import ModelSize

# Entry of a model's config.json.
ENTRY = "sentence_embedding"

MODULES = "modules.json"
TRANSFORMER = "sentence_bert_config.json"
SETTINGS = "config_sentence_transformers.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"
POOLING = "1_Pooling"
NORMALIZE = "2_Normalize"
EMBEDDING_FILES = (MODULES, TRANSFORMER, SETTINGS, f"{POOLING}/{CONFIG}")

# What the vectors of a text's tokens become, by the names that sentence-transformers has for it.
POOLINGS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
}
OTHER_POOLINGS = {"weightedmean": "pooling_mode_weightedmean_tokens", "lasttoken": "pooling_mode_lasttoken"}
# What the Transformer is to give, where its file says so.
FEATURES = "feature-extraction"
_PACKAGE = "sentence_transformers"
_REMEDY = "choose a model of the modules Transformer, Pooling and perhaps Normalize"


@dataclass(frozen=True)
class SentenceEmbedding:
    """How a text becomes one vector.

    Attributes:
        pooling: one of `POOLINGS`: the vector of the first token, or the mean or the maximum of all, or their sum by
            the root of their number.
        normalize: whether vectors are brought to length 1.
        max_length: tokens that texts are cut to.
        settings: the content of config_sentence_transformers.json, such as prompts that a user may ask for.
    """

    pooling: str
    normalize: bool
    max_length: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "SentenceEmbedding | None":
        """By a config.json of this pipeline; None for a model of another kind."""
        return cls(**config[ENTRY]) if ENTRY in config else None

    def within(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A config.json with this entry."""
        return {**config, ENTRY: asdict(self)}


def read_embedding(
    read: Callable[[str], Any], names: list[str], position_limit: int | None = None
) -> SentenceEmbedding:
    """What the files of a sentence-transformers folder say; `read` gives the content of one of its JSON files.

    `names` are the files at the top of the folder; `position_limit` is what the model itself can take.

    Raises UserError, by name, for modules and settings that are not supported.
    """
    if MODULES not in names:
        raise UserError(
            f"there is no {MODULES}, so that nothing says how a text becomes a vector; name a folder that "
            "SentenceTransformer(...).save wrote"
        )
    paths = _module_paths(read(MODULES))
    transformer = read(TRANSFORMER) if TRANSFORMER in names else {}
    if transformer.get("do_lower_case"):
        raise UserError(
            f"{TRANSFORMER}: do_lower_case is not supported; choose a model whose tokenizer lower-cases by itself"
        )
    settings = read(SETTINGS) if SETTINGS in names else {}
    if prompt := settings.get("default_prompt_name"):
        raise UserError(
            f"{SETTINGS}: the prompt {prompt!r} is put before each text (default_prompt_name), which is not supported; "
            "choose a model without, or set it to null and write the prompt into the texts"
        )
    if (task := transformer.get("transformer_task", FEATURES)) != FEATURES:
        raise UserError(f"{TRANSFORMER}: transformer_task is {task!r}; only {FEATURES} gives the vectors of tokens")
    length = transformer.get("max_seq_length")
    if length is None and TOKENIZER_SETTINGS in names:  # where newer versions keep it
        length = read(TOKENIZER_SETTINGS).get("model_max_length")
    lengths = [number for number in (length, position_limit) if number is not None]
    if not lengths or any(type(number) is not int or number < 1 for number in lengths):
        raise UserError(f"{TRANSFORMER}: max_seq_length is {length!r}; write a whole number")
    return SentenceEmbedding(
        _pooling(read(f"{paths['Pooling']}/{CONFIG}")), "Normalize" in paths, min(lengths), settings
    )


def _module_paths(modules: Any) -> dict[str, str]:
    """The folder of each module by its kind. Raises UserError for others than those that are supported."""
    if not isinstance(modules, list) or not all(isinstance(module, Mapping) for module in modules):
        raise UserError(f"{MODULES} is no list of modules; it is damaged: download it again")
    kinds = [str(module.get("type", "")).rpartition(".") for module in modules]
    for package, _, kind in kinds:
        if package.partition(".")[0] != _PACKAGE:
            raise UserError(f"{MODULES}: the module {package}.{kind} is code of its own, which is never run; {_REMEDY}")
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise UserError(f"{MODULES}: the module {kind} is not supported; {_REMEDY}")
    names = [kind for _, _, kind in kinds]
    if names not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise UserError(f"{MODULES}: the modules {', '.join(names) or 'none'} are not supported; {_REMEDY}")
    paths = {kind: str(module.get("path", "")) for kind, module in zip(names, modules, strict=True)}
    if paths["Transformer"]:
        raise UserError(
            f"{MODULES}: the Transformer is in the folder {paths['Transformer']!r}, not at the top; save the model "
            "again with SentenceTransformer(...).save"
        )
    if Path(paths["Pooling"]).name != paths["Pooling"]:
        raise UserError(f"{MODULES}: the path {paths['Pooling']!r} of Pooling is no folder of the model; correct it")
    return paths


def _pooling(config: Any) -> str:
    """The one way of pooling that a module's config.json asks for."""
    place = f"{POOLING}/{CONFIG}"
    if not isinstance(config, Mapping):
        raise UserError(f"{place} does not hold a mapping; it is damaged: download it again")
    named = config.get("pooling_mode")
    keys = {**POOLINGS, **OTHER_POOLINGS}
    # Its own default, where a file says nothing, is the mean.
    asked = [named] if named else [name for name, key in keys.items() if config.get(key)]
    if len(asked) != 1:
        raise UserError(f"{place}: asks for {', '.join(asked) or 'no way of pooling'}; exactly one is supported")
    if asked[0] not in POOLINGS:
        raise UserError(f"{place}: pooling by {asked[0]} is not supported; there are {', '.join(POOLINGS)}")
    return str(asked[0])


def complete_folder(tokenizer_dir: str | Path, folder: str | Path) -> None:
    """Give a folder with weights and config.json all else that a user needs: the tokenizer, the files of pooling."""
    copy_tokenizer(tokenizer_dir, folder)
    write_embedding_files(Path(folder))


# Those that `write_embedding_files` may write.
EMBEDDING_FILES = (MODULES, TRANSFORMER, SETTINGS, f"{POOLING}/{CONFIG}")


def write_embedding_files(folder: Path) -> None:
    """Write the files that make a folder with such a config.json one of sentence-transformers; else do nothing."""
    config = read_json(folder / CONFIG)
    if (embedding := SentenceEmbedding.of(config)) is None:
        return
    kinds = {"Transformer": "", "Pooling": POOLING} | ({"Normalize": NORMALIZE} if embedding.normalize else {})
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"{_PACKAGE}.models.{kind}"}
        for index, (kind, path) in enumerate(kinds.items())
    ]
    size = ModelSize.of(config).hidden_size
    pooling = {"word_embedding_dimension": size, **{key: name == embedding.pooling for name, key in POOLINGS.items()}}
    write_json(folder / MODULES, modules)
    write_json(folder / TRANSFORMER, {"max_seq_length": embedding.max_length, "do_lower_case": False})
    write_json(folder / SETTINGS, dict(embedding.settings))
    write_json(folder / POOLING / CONFIG, pooling)
