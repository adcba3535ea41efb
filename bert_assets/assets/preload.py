"""Imported once by the server that forks the step processes, so that no step pays for these imports again."""

import pyarrow.parquet  # noqa: TID253, F401
import torch  # noqa: TID253, F401
import transformers.models.bert.modeling_bert  # noqa: TID253, F401

import bert_assets.stages.fine_tune
import bert_assets.stages.predictions  # noqa: F401
