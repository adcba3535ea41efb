"""The datasets and runs of `experiments/*.yaml` as frozen models, and what is wrong with one in words.

Defaults of the training settings are those of BERT's own `run_classifier.py` (Google, 2018).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

Split = Literal["train", "validation", "test"]
Severity = Literal["warn", "error"]

PRESETS = ("tiny", "mini", "small")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]|\.(?!\.)){0,99}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_HUB_MODEL = re.compile(rf"(?:{_HUB_PART}/)?{_HUB_PART}")
_HUB_DATASET = re.compile(rf"{_HUB_PART}/{_HUB_PART}")
_DURATION = re.compile(r"([0-9]{1,6})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def name_problem(name: str) -> str | None:
    """What is wrong with the name of a dataset or run; None if it is fine."""
    if _NAME.fullmatch(name):
        return None
    hint = f"; use {name.lower()!r}" if _NAME.fullmatch(name.lower()) else ""
    return (
        f"{show(name)} is not a name: expected 1 to 100 lower-case letters, digits, '_', '-' and single dots, "
        f"with a letter or digit first{hint}"
    )


# --- What a field is to the weights ----------------------------------------------------------------------------------


def weights_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that can change the published weights: it is part of the recipe, and so of the model id."""
    return Field(default, description=description, json_schema_extra={"role": "weights"}, **bounds)


def content_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that names content whose hash stands in the recipe in its place."""
    return Field(default, description=description, json_schema_extra={"role": "content"}, **bounds)


def setting_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that cannot change the weights (device and threads are numerics: recorded, no part of the recipe)."""
    return Field(default, description=description, json_schema_extra={"role": "setting"}, **bounds)


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Declared(_Config):
    """A config of which every field declares what it is to the weights."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if _role(field) is None:
                raise TypeError(
                    f"{cls.__name__}.{name}: declare it with weights_field, content_field or setting_field"
                )


def _role(field: FieldInfo) -> str | None:
    extra = field.json_schema_extra
    role = extra.get("role") if isinstance(extra, dict) else None
    return role if isinstance(role, str) else None


# --- Values ----------------------------------------------------------------------------------------------------------


class Wrong(ValueError):
    """A value that is refused, in words for its writer; `at` is the key within the model, if it is one."""

    def __init__(self, message: str, at: str | None = None) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """A span of wall time."""

    seconds: int

    def __str__(self) -> str:
        for unit in ("h", "m"):
            if self.seconds % _SECONDS[unit] == 0:
                return f"{self.seconds // _SECONDS[unit]}{unit}"
        return f"{self.seconds}s"


def _steps_or_time(value: Any) -> int | Seconds:
    if isinstance(value, Seconds):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[1]) == 0:
        raise Wrong(f"expected a number of steps from 1, or a time such as 30s, 5m or 1h, got {show(value)}")
    return Seconds(seconds=int(found[1]) * _SECONDS[found[2]])


Interval = Annotated[
    int | Seconds,
    PlainValidator(_steps_or_time),
    PlainSerializer(lambda value: str(value) if isinstance(value, Seconds) else value),
]


def _text(value: str) -> str:
    if not value.strip():
        raise Wrong(f"expected text that is not blank, got {show(value)}")
    return value


Text = Annotated[str, AfterValidator(_text)]


def _from_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _commit(value: str) -> str:
    if _COMMIT.fullmatch(value):
        return value
    raise Wrong(f"expected {_COMMIT_EXPECTED}, got {show(value)}")


_COMMIT_EXPECTED = (
    "the full commit hash, 40 digits and lower-case letters a-f, because what a branch or tag names can change "
    "(it stands under 'Files and versions', 'History' on the model's or dataset's page at huggingface.co)"
)
Commit = Annotated[str, AfterValidator(_commit)]

ModelKind = Literal["scratch", "path", "hub"]


def model_kind(model: str) -> ModelKind:
    """Whether `model` is built from scratch, lies in a local folder, or comes from the hub."""
    if model == "scratch" or model.startswith("scratch/"):
        return "scratch"
    if model.startswith(("/", "~", "./", "../")) or model in (".", ".."):
        return "path"
    return "hub"


def _model(value: str) -> str:
    kind = model_kind(value)
    if kind == "scratch" and value.removeprefix("scratch/") not in PRESETS:
        presets = [f"scratch/{preset}" for preset in PRESETS]
        raise Wrong(f"expected {_one_of(presets)}, got {show(value)}{did_you_mean(value, presets)}")
    if kind == "hub" and (
        not _HUB_MODEL.fullmatch(value) or ".." in value or "--" in value or len(value) > 96
    ):
        raise Wrong(
            f"expected scratch/{'|'.join(PRESETS)}, a folder that starts with ./ ../ / or ~, or a hub id such as "
            f"google/bert_uncased_L-2_H-128_A-2, got {show(value)}"
        )
    return value


Model = Annotated[str, AfterValidator(_model)]


# --- Datasets --------------------------------------------------------------------------------------------------------


def _source_path(value: Any) -> str | dict[Split, str]:
    if isinstance(value, str) and value.strip():
        return value
    if not isinstance(value, dict):
        raise Wrong(
            f"expected a path, or a mapping such as {{train: a.tsv, validation: b.tsv}}, got {show(value)}"
        )
    for split, path in value.items():
        if split not in get_args(Split):
            raise Wrong(
                f"unknown split {show(split)}; expected {_one_of(get_args(Split))}{did_you_mean(split, get_args(Split))}",
                split,
            )
        if not isinstance(path, str) or not path.strip():
            raise Wrong(f"expected a path, got {show(path)}", split)
    if "train" not in value:
        raise Wrong(
            "the split 'train' is missing; validation and test are cut from train where they are not given"
        )
    return value


def _hub_dataset(value: str) -> str:
    if not _HUB_DATASET.fullmatch(value) or ".." in value or "--" in value:
        raise Wrong(f"expected owner/name, such as stanfordnlp/sst2 or nyu-mll/glue, got {show(value)}")
    return value


class FileSource(_Config):
    """Files: csv, tsv, jsonl or parquet; local, by glob, or behind a URL that fsspec opens."""

    type: Literal["file"] = Field(
        description="local files, globs, or URLs such as s3://bucket/name/*.parquet"
    )
    path: Annotated[str | dict[Split, str], PlainValidator(_source_path)] = Field(
        description="one path or glob, or one for each split that the source brings"
    )


class HubSource(_Config):
    """A dataset of the Hugging Face hub at a pinned commit."""

    type: Literal["hub"] = Field(description="a dataset of the Hugging Face hub")
    name: Annotated[str, AfterValidator(_hub_dataset)] = Field(description="its id, owner/name")
    config: Text | None = Field(
        default=None, description="its configuration, where it has several (sst2 of nyu-mll/glue)"
    )
    revision: Commit = Field(description=_COMMIT_EXPECTED)


class SplitShares(_Config):
    """How validation and test are cut from train, where the source does not bring them."""

    validation: float = Field(default=0.1, ge=0, lt=1, description="share of rows, approximate")
    # The default is checked too: validation alone may leave it no room.
    test: float = Field(
        default=0.1, ge=0, lt=1, validate_default=True, description="share of rows, approximate"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="another seed cuts other rows")

    @field_validator("test")
    @classmethod
    def _leave_rows_to_train(cls, test: float, info: ValidationInfo) -> float:
        validation = info.data.get("validation", 0)
        if validation + test >= 1:
            raise Wrong(
                f"expected shares of validation and test that sum to less than 1, got {validation:g} + {test:g}: "
                "nothing is left to train on"
            )
        return test


def _delimiter(value: str) -> str:
    if value == r"\t":
        raise Wrong(r"""a tab is written in double quotes: "\t" """.rstrip())
    if len(value) != 1 or value in '"\r\n':
        raise Wrong(f"expected a single character, got {show(value)}")
    return value


def _distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for index, name in enumerate(value) if name in value[:index]]
    if twice or not value:
        raise Wrong(
            f"{show(twice[0])} stands twice" if twice else "expected at least one column name, got none"
        )
    return value


class FormatConfig(_Config):
    """How to read files whose ending or first line does not say it."""

    type: Literal["csv", "tsv", "jsonl", "parquet"] | None = Field(
        default=None, description="null: by the file's ending"
    )
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = Field(
        default=None, description="null: the format's own"
    )
    header: bool = Field(default=True, description="whether the first line names the columns")
    columns: Annotated[tuple[Text, ...], BeforeValidator(_from_list), AfterValidator(_distinct)] | None = (
        Field(default=None, description="the names of the columns, where no header gives them")
    )
    quoting: Literal["minimal", "none"] = Field(
        default="minimal", description="none: a quote is a character like any other"
    )
    extra_columns: Literal["error", "ignore"] = Field(
        default="error", description="what to do with fields beyond the columns"
    )

    @field_validator("delimiter", "header", "columns", "quoting", "extra_columns")
    @classmethod
    def _only_for_delimited_files(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type")
        if kind in ("jsonl", "parquet") and value != cls.model_fields[str(info.field_name)].default:
            raise Wrong(f"is for csv and tsv files; remove it, as type is {kind}")
        return value


class LeakageCheck(_Config):
    """Texts of validation or test that stand in train too."""

    max_share: float = Field(
        default=0.01, ge=0, le=1, description="share of a split's texts that may stand in train"
    )
    severity: Severity = Field(
        default="warn", description="error: nothing is trained on a snapshot that fails"
    )


class ClassBalanceCheck(_Config):
    """Classes too rare to learn."""

    min_share: float = Field(
        default=0.01, ge=0, le=1, description="share of the train rows that each class must have"
    )
    severity: Severity = Field(
        default="warn", description="error: nothing is trained on a snapshot that fails"
    )


class ChecksConfig(_Config):
    """Thresholds of the data gate."""

    leakage: LeakageCheck = Field(
        default=LeakageCheck(), description="texts of validation or test that stand in train too"
    )
    class_balance: ClassBalanceCheck = Field(
        default=ClassBalanceCheck(), description="classes too rare to learn"
    )


def _example(value: Any) -> str | tuple[str, str]:
    if isinstance(value, str) and value.strip():
        return value
    pair = tuple(value) if isinstance(value, list | tuple) else ()
    if len(pair) == 2 and all(isinstance(text, str) and text.strip() for text in pair):
        return pair
    raise Wrong(f"expected a text, or a pair of texts in brackets, got {show(value)}")


class DatasetConfig(_Config):
    """One labelled dataset: where it comes from and how it becomes a snapshot."""

    name: str = Field(description="its key in the YAML")
    source: Annotated[FileSource | HubSource, Field(discriminator="type")] = Field(
        description="such as {type: file, path: data/reviews.csv}"
    )
    text: Text | None = Field(default=None, description="column of the texts; null: inferred")
    text_pair: Text | None = Field(
        default=None, description="column of the second texts of pairs; null: inferred with text"
    )
    label: Text | None = Field(
        default=None, description="column of class names, integers, or numbers; null: inferred"
    )
    task: Literal["auto", "classification", "regression"] = Field(
        default="auto", description="auto: by the labels"
    )
    splits: SplitShares = Field(
        default=SplitShares(), description="shares of the splits that the source does not bring"
    )
    max_rows: dict[Split, Annotated[int, Field(ge=1)]] = Field(
        default={}, description="rows to keep of a split, a seeded sample chosen by row hash"
    )
    format: FormatConfig = Field(default=FormatConfig(), description="how to read delimited files")
    examples: Annotated[
        tuple[Annotated[str | tuple[str, str], PlainValidator(_example)], ...], BeforeValidator(_from_list)
    ] = Field(default=(), description="what inference scores when it is given nothing")
    on_invalid: Literal["error", "drop"] = Field(
        default="error", description="what to do with rows that cannot be used"
    )
    checks: ChecksConfig = Field(default=ChecksConfig(), description="thresholds of the data gate")

    @field_validator("text_pair", "label")
    @classmethod
    def _is_another_column(cls, column: str | None, info: ValidationInfo) -> str | None:
        for key in ("text", "text_pair"):
            if column is not None and info.data.get(key) == column:
                raise Wrong(f"the column {show(column)} is {key} already; name another")
        return column

    @field_validator("format")
    @classmethod
    def _is_of_a_file(cls, value: FormatConfig, info: ValidationInfo) -> FormatConfig:
        if isinstance(info.data.get("source"), HubSource) and value != FormatConfig():
            raise Wrong("is for files; remove it, as the source is of type hub")
        return value

    @field_validator("examples")
    @classmethod
    def _are_of_one_kind(
        cls, examples: tuple[str | tuple[str, str], ...]
    ) -> tuple[str | tuple[str, str], ...]:
        if len({isinstance(example, str) for example in examples}) > 1:
            raise Wrong("expected texts or pairs of texts, got some of each")
        return examples


# --- Runs ------------------------------------------------------------------------------------------------------------


class RunConfig(_Declared):
    """One fine-tune: a model, a dataset and every setting; one partition."""

    name: str = setting_field("the partition: the entry's name and its grid point")
    configuration: str = setting_field("the name without its seed part: what is compared across seeds")
    dataset: str = content_field("name of the dataset")
    model: Model = content_field(
        f"scratch/{'|'.join(PRESETS)}, a folder (./ ../ / ~), or a hub id with revision"
    )
    revision: Commit | None = content_field("commit hash of a hub model", None, validate_default=True)
    device: Literal["auto", "cpu", "cuda", "mps"] = setting_field(
        "where to train; auto: the best there is", "auto"
    )
    seed: int = weights_field("of the order of rows, dropout and new weights", 0, ge=0, lt=2**32)
    epochs: int = weights_field("passes over the train split", 3, ge=1)
    batch_size: int = weights_field("rows per forward pass", 32, ge=1)
    learning_rate: float = weights_field("peak, after warm-up and before linear decay", 5e-5, gt=0, le=1)
    max_length: int = weights_field("tokens per row; longer texts are cut", 128, ge=4)
    precision: Literal["fp32", "bf16"] = weights_field("bf16: autocast of the forward pass", "fp32")
    warmup_ratio: float = weights_field(
        "share of the steps in which the learning rate rises", 0.1, ge=0, le=1
    )
    weight_decay: float = weights_field("AdamW's, not on biases and norms", 0.01, ge=0, le=1)
    checkpoint_every: Interval = setting_field("steps (100) or wall time (30s, 5m, 1h)", Seconds(seconds=60))
    early_stopping: int | None = weights_field("evaluations without improvement before stopping", None, ge=1)
    eval_every: int | None = weights_field("steps between evaluations; null: every epoch", None, ge=1)
    gradient_accumulation: int = weights_field("forward passes per optimizer step", 1, ge=1)
    max_grad_norm: float = weights_field("gradients are clipped to this norm", 1.0, gt=0)
    threads: int | None = setting_field("CPU threads; null: one per physical core", None, ge=1)
    keep_checkpoints: int = setting_field("newest checkpoints kept while training", 2, ge=1)

    @field_validator("revision")
    @classmethod
    def _hub_models_are_pinned(cls, revision: str | None, info: ValidationInfo) -> str | None:
        model = info.data.get("model")
        kind = model_kind(model) if model is not None else None
        if kind == "hub" and revision is None:
            raise Wrong(
                f"required for the hub model {show(model)}: {_COMMIT_EXPECTED}; "
                f"for a local folder write model: ./{model}"
            )
        if kind in ("scratch", "path") and revision is not None:
            raise Wrong(f"is for hub models; remove it, as model is {show(model)}")
        return revision

    def recipe_fields(self) -> dict[str, Any]:
        """The settings that can change the weights, JSON-able; hashes stand for model and dataset elsewhere."""
        return self.model_dump(mode="json", include=set(fields_of_role("weights")))


def fields_of_role(*roles: Literal["weights", "content", "setting"]) -> list[str]:
    """The RunConfig fields declared so, in their order."""
    return [name for name, field in RunConfig.model_fields.items() if _role(field) in roles]


# What the loader fills in: not for users to write.
GIVEN = frozenset({"name", "configuration"})


# --- What is wrong, in words -----------------------------------------------------------------------------------------

AnyConfig = TypeVar("AnyConfig", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One thing wrong with an entry: where in it, and what."""

    path: tuple[str | int, ...]
    message: str


def check(
    cls: type[AnyConfig], settings: Mapping[str, Any], given: Mapping[str, str]
) -> AnyConfig | list[Complaint]:
    """The config for what a user wrote and what the loader gives (its name), or all that is wrong with it."""
    reserved = [unknown_key(key, writable_keys(cls), ()) for key in settings if key in given]
    try:
        config = cls.model_validate({**settings, **given})
    except ValidationError as error:
        return reserved + explain(cls, {**settings, **given}, error)
    return reserved or config


def explain(cls: type[BaseModel], settings: Mapping[str, Any], error: ValidationError) -> list[Complaint]:
    """Every error with its place in `settings`, the value, what was expected, and the nearest known key."""
    return [_complaint(cls, settings, item) for item in error.errors(include_url=False)]


def _complaint(cls: type[BaseModel], settings: Mapping[str, Any], item: Any) -> Complaint:
    path, model, field = _locate(cls, settings, item["loc"])
    kind, context, value = item["type"], item.get("ctx", {}), item["input"]
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), writable_keys(model), path[:-1])
    if kind == "missing":
        return Complaint(path=path, message=f"required key is missing: {field.description if field else ''}")
    if kind == "value_error" and isinstance(wrong := context.get("error"), Wrong):
        return Complaint(path=path if wrong.at is None else (*path, wrong.at), message=str(wrong))
    message = describe(kind, context, value)
    about = f" ({field.description})" if field and field.description else ""
    return Complaint(path=path, message=f"{message}{about}")


def describe(kind: str, context: Mapping[str, Any], value: Any) -> str:
    """What pydantic's error of this kind means to the one who wrote `value`."""
    bounds = {
        "greater_than": ("gt", "a number greater than"),
        "greater_than_equal": ("ge", "a number of at least"),
        "less_than": ("lt", "a number less than"),
        "less_than_equal": ("le", "a number of at most"),
    }
    types = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "string_type": "text",
        "bool_type": "true or false",
        "tuple_type": "a list",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "model_attributes_type": "a mapping",
    }
    hint = ""
    if kind in bounds:
        key, words = bounds[kind]
        expected = (
            f"{words} {context[key]:g}" if isinstance(context[key], float) else f"{words} {context[key]}"
        )
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        expected, hint = _one_of(choices), did_you_mean(value, choices)
    elif kind == "union_tag_not_found":
        return "required key 'type' is missing: expected type: file or type: hub"
    elif kind == "union_tag_invalid":
        expected, hint = "type: file or type: hub", did_you_mean(context.get("tag"), ["file", "hub"])
        value = context.get("tag")
    else:
        expected = types.get(kind, f"another value ({kind.replace('_', ' ')})")
        hint = _retype_hint(kind, value)
    return f"expected {expected}, got {show(value)}{hint}"


def _retype_hint(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return ""
        return "; remove the quotes"
    return ""


def unknown_key(key: str, known: Iterable[str], within: tuple[str | int, ...]) -> Complaint:
    """A key that the schema does not have, with the nearest one that it has."""
    near = did_you_mean(key, known) or f"; expected {_one_of(known)}"
    return Complaint(path=(*within, key), message=f"unknown key {show(key)}{near}")


def writable_keys(cls: type[BaseModel]) -> list[str]:
    """The keys that a user may write in the YAML of this model."""
    if cls is RunConfig:
        return [*(key for key in cls.model_fields if key not in GIVEN), "grid"]
    return [key for key in cls.model_fields if not (cls is DatasetConfig and key in GIVEN)]


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    near = get_close_matches(word.lower(), list(known), n=1) if isinstance(word, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def show(value: Any) -> str:
    """A value as its writer knows it, short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value[:61] if isinstance(value, str) else value)
    return f"{text[:60]}…" if len(text) > 63 else text


def _one_of(choices: Iterable[str]) -> str:
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def _locate(
    cls: type[BaseModel], settings: Any, loc: tuple[str | int, ...]
) -> tuple[tuple[str | int, ...], type[BaseModel], FieldInfo | None]:
    """The place as written, the model it lies in, and its field; pydantic's loc also names union members."""
    path: list[str | int] = []
    field: FieldInfo | None = None
    value = settings
    members: list[type[BaseModel]] = [cls]
    for part in loc:
        tagged = [member for member in members if _tag(member) == part]
        if len(members) > 1 and tagged:
            members = tagged
            continue
        cls = members[0]
        is_item = isinstance(value, list) and isinstance(part, int)
        if is_item or (isinstance(value, dict) and part in value):
            value = value[part]
        elif part not in cls.model_fields:
            continue
        path.append(part)
        if part in cls.model_fields:
            field = cls.model_fields[str(part)]
            members = _models_in(field.annotation) or members
    return tuple(path), cls, field


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("type")
    choices = get_args(field.annotation) if field else ()
    return choices[0] if len(choices) == 1 else None
