"""The datasets and runs of `experiments/*.yaml` as frozen models.

Defaults of the training settings are those of BERT's own `run_classifier.py` (Google, 2018).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from bert_assets.config.messages import Wrong, show
from bert_assets.config.values import (
    COMMIT_EXPECTED,
    PRESETS,
    Columns,
    Commit,
    Count,
    Delimiter,
    Duration,
    Example,
    FromList,
    HubDataset,
    Interval,
    Model,
    Seconds,
    SourcePath,
    Split,
    Text,
    model_kind,
)

Severity = Literal["warn", "error"]

# What the loader fills in: not for users to write.
GIVEN = frozenset({"name", "configuration"})


# --- What a field is to the weights ----------------------------------------------------------------------------------

Role = Literal["weights", "content", "setting"]


def weights_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that can change the published weights: it is part of the recipe, and so of the model id."""
    return _field_of("weights", description, default, bounds)


def content_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that names content whose hash stands in the recipe in its place."""
    return _field_of("content", description, default, bounds)


def setting_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that cannot change the weights (device and threads are numerics: recorded, no part of the recipe)."""
    return _field_of("setting", description, default, bounds)


def _field_of(role: Role, description: str, default: Any, bounds: dict[str, Any]) -> Any:
    return Field(default, description=description, json_schema_extra={"role": role}, **bounds)


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


def _role(field: FieldInfo) -> Role | None:
    extra = field.json_schema_extra
    role = extra.get("role") if isinstance(extra, dict) else None
    return next((known for known in get_args(Role) if known == role), None)


# --- Datasets ---------------------------------------------------------------------------------------------------------


class FileSource(_Config):
    """Files: csv, tsv, jsonl or parquet; local, by glob, or behind a URL that fsspec opens."""

    type: Literal["file"] = Field(
        description="local files, globs, or URLs such as s3://bucket/name/*.parquet"
    )
    path: SourcePath = Field(description="one path or glob, or one for each split that the source brings")


class HubSource(_Config):
    """A dataset of the Hugging Face hub at a pinned commit."""

    type: Literal["hub"] = Field(description="a dataset of the Hugging Face hub")
    name: HubDataset = Field(description="its id, owner/name")
    config: Text | None = Field(
        default=None, description="its configuration, where it has several (sst2 of nyu-mll/glue)"
    )
    revision: Commit = Field(description=COMMIT_EXPECTED)


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


class FormatConfig(_Config):
    """How to read files whose ending or first line does not say it."""

    type: Literal["csv", "tsv", "jsonl", "parquet"] | None = Field(
        default=None, description="null: by the file's ending"
    )
    delimiter: Delimiter | None = Field(default=None, description="null: the format's own")
    header: bool = Field(default=True, description="whether the first line names the columns")
    columns: Columns | None = Field(
        default=None, description="the names of the columns, where no header gives them"
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


def _severity() -> Any:
    return Field(default="warn", description="error: nothing is trained on a snapshot that fails")


def _share(default: float, description: str) -> Any:
    return Field(default=default, ge=0, le=1, description=description)


class RowsCheck(_Config):
    """Splits too small to train on, or to measure on."""

    min_train: int = Field(default=32, ge=1, description="rows that train must have")
    min_validation: int = Field(default=32, ge=0, description="rows that validation must have")
    min_test: int = Field(default=0, ge=0, description="rows that test must have")
    severity: Severity = _severity()


class TextsCheck(_Config):
    """Rows that `on_invalid: drop` left out for their text."""

    max_dropped: float = _share(0.05, "share of the rows read that may have a null or blank text")
    severity: Severity = _severity()


class LabelsCheck(_Config):
    """Rows that `on_invalid: drop` left out for their label, and labels that train does not cover."""

    max_dropped: float = _share(0.05, "share of the rows read that may have no usable label")
    max_outside: float = _share(
        0.05, "regression: share of a split's targets that may lie outside the range of train's"
    )
    severity: Severity = _severity()


class LeakageCheck(_Config):
    """Texts of validation or test that stand in train too."""

    max_share: float = _share(0.01, "share of a split's texts that may stand in train")
    severity: Severity = _severity()


class DuplicatesCheck(_Config):
    """Train rows that say the same twice, or contradict each other."""

    max_share: float = _share(0.05, "share of the train rows that may repeat the text and label of another")
    max_contradicting: float = _share(0.01, "share of the distinct train texts that may carry several labels")
    severity: Severity = _severity()


class ClassBalanceCheck(_Config):
    """Classes too rare to learn."""

    min_share: float = _share(0.01, "share of the train rows that each class must have")
    severity: Severity = _severity()


class LengthCheck(_Config):
    """Train texts that are certainly cut, because they have more words than the model takes tokens."""

    max_share: float = _share(0.05, "share of the train rows that may have more words than max_length")
    severity: Severity = _severity()


class LossFallingCheck(_Config):
    """Models that did not learn."""

    max_ratio: float = Field(
        default=1.0,
        gt=0,
        description="the mean loss of the last quarter of training must be below this times that of the first",
    )


class BetterThanBaselineCheck(_Config):
    """Models that a constant answer matches."""

    margin: float = _share(
        0.0,
        "by how much validation accuracy must exceed the commonest class's share, or the squared error, as a share, "
        "lie below that of the mean",
    )


class TruncationCheck(_Config):
    """Train texts that were cut, counted in the model's own tokens."""

    max_share: float = _share(0.05, "share of the train rows that may be cut at max_length")


def _metric_severity() -> Any:
    return Field(default="warn", description="how a failure is shown; it stops nothing")


class NoRegressionCheck(_Config):
    """Metrics below those of the run's previous materialization."""

    severity: Severity = _metric_severity()


class NotWorseThanChampionCheck(_Config):
    """Metrics below those of the dataset's champion."""

    severity: Severity = _metric_severity()


class ChecksConfig(_Config):
    """Thresholds of the checks on the snapshot, and on the models and metrics of its runs."""

    rows: RowsCheck = Field(default=RowsCheck(), description="splits too small")
    texts: TextsCheck = Field(default=TextsCheck(), description="rows dropped for their text")
    labels: LabelsCheck = Field(
        default=LabelsCheck(), description="rows dropped for their label, labels beyond train's"
    )
    leakage: LeakageCheck = Field(
        default=LeakageCheck(), description="texts of validation or test that stand in train too"
    )
    duplicates: DuplicatesCheck = Field(
        default=DuplicatesCheck(), description="train rows that repeat or contradict others"
    )
    class_balance: ClassBalanceCheck = Field(
        default=ClassBalanceCheck(), description="classes too rare to learn"
    )
    length: LengthCheck = Field(
        default=LengthCheck(), description="train texts of more words than max_length"
    )
    loss_falling: LossFallingCheck = Field(
        default=LossFallingCheck(), description="models that did not learn"
    )
    better_than_baseline: BetterThanBaselineCheck = Field(
        default=BetterThanBaselineCheck(), description="models that a constant answer matches"
    )
    truncation: TruncationCheck = Field(default=TruncationCheck(), description="train texts that were cut")
    no_regression: NoRegressionCheck = Field(
        default=NoRegressionCheck(), description="metrics below the run's previous ones"
    )
    not_worse_than_champion: NotWorseThanChampionCheck = Field(
        default=NotWorseThanChampionCheck(), description="metrics below the champion's"
    )


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
    max_rows: dict[Split, Count] = Field(
        default={}, description="rows to keep of a split, a seeded sample chosen by row hash"
    )
    format: FormatConfig = Field(default=FormatConfig(), description="how to read delimited files")
    examples: Annotated[tuple[Example, ...], FromList] = Field(
        default=(), description="what inference scores when it is given nothing"
    )
    on_invalid: Literal["error", "drop"] = Field(
        default="error", description="what to do with rows that cannot be used"
    )
    checks: ChecksConfig = Field(default=ChecksConfig(), description="thresholds of the checks")

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
    epochs: Count = weights_field("passes over the train split", 3)
    batch_size: Count = weights_field("rows per forward pass", 32)
    learning_rate: float = weights_field("peak, after warm-up and before linear decay", 5e-5, gt=0, le=1)
    max_length: int = weights_field("tokens per row; longer texts are cut", 128, ge=4, lt=2**31)
    precision: Literal["fp32", "bf16"] = weights_field("bf16: autocast of the forward pass", "fp32")
    warmup_ratio: float = weights_field(
        "share of the steps in which the learning rate rises", 0.1, ge=0, le=1
    )
    weight_decay: float = weights_field("AdamW's, not on biases and norms", 0.01, ge=0, le=1)
    checkpoint_every: Interval = setting_field("steps (100) or wall time (30s, 5m, 1h)", Seconds(seconds=120))
    early_stopping: Count | None = weights_field("evaluations without improvement before stopping", None)
    eval_every: Count | None = weights_field("steps between evaluations; null: every epoch", None)
    gradient_accumulation: Count = weights_field("forward passes per optimizer step", 1)
    max_grad_norm: float = weights_field("gradients are clipped to this norm", 1.0, gt=0)
    timeout: Duration | None = setting_field(
        "wall time that one attempt may train; then it stops with a checkpoint; null: any", None
    )
    threads: Count | None = setting_field("CPU threads; null: one per physical core", None)
    keep_checkpoints: Count = setting_field("newest checkpoints kept while training", 2)
    on_numerics_change: Literal["resume", "restart", "fail"] | None = setting_field(
        "a checkpoint of other numerics; null: restart below an hour of training, else fail", None
    )
    stall_timeout: Duration | None = setting_field(
        "training that does not move for so long is ended and resumed; null: never", Seconds(seconds=1800)
    )

    @field_validator("revision")
    @classmethod
    def _hub_models_are_pinned(cls, revision: str | None, info: ValidationInfo) -> str | None:
        model = info.data.get("model")
        kind = model_kind(model) if model is not None else None
        if kind == "hub" and revision is None:
            raise Wrong(
                f"required for the hub model {show(model)}: {COMMIT_EXPECTED}; "
                f"for a local folder write model: ./{model}"
            )
        if kind in ("scratch", "path") and revision is not None:
            raise Wrong(f"is for hub models; remove it, as model is {show(model)}")
        return revision

    def recipe_fields(self) -> dict[str, Any]:
        """The settings that can change the weights, JSON-able; hashes stand for model and dataset elsewhere."""
        return self.model_dump(mode="json", include=set(fields_of_role("weights")))


def fields_of_role(*roles: Role) -> list[str]:
    """The RunConfig fields declared so, in their order."""
    return [name for name, field in RunConfig.model_fields.items() if _role(field) in roles]
