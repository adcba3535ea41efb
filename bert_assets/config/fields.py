"""What every config is built from: frozen models, and fields that declare what they are to the weights."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Role = Literal["weights", "content", "setting"]


def weights_field(description: str, default: Any = ..., *, later: bool = False, **bounds: Any) -> Any:
    """A field that can change the published weights: it is part of the recipe, and so of the model id.

    `later`: it joined when models had been published already, and its default is what these were trained with. At
    its default it is left out of the recipe, so that their ids stay.
    """
    return _field_of("weights", description, default, bounds, later)


def content_field(description: str, default: Any = ..., *, later: bool = False, **bounds: Any) -> Any:
    """A field that names content whose hash stands in the recipe in its place; `later` as in weights_field."""
    return _field_of("content", description, default, bounds, later)


def setting_field(description: str, default: Any = ..., **bounds: Any) -> Any:
    """A field that cannot change the weights (device and threads are numerics: recorded, no part of the recipe)."""
    return _field_of("setting", description, default, bounds, False)


def _field_of(role: Role, description: str, default: Any, bounds: dict[str, Any], later: bool) -> Any:
    if later and default is ...:
        raise TypeError(f"{description!r}: a field that joins later needs a default")
    extra = {"role": role, "later": later}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DeclaredConfig(Config):
    """A config of which every field declares what it is to the weights."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if role_of(field) is None:
                raise TypeError(
                    f"{cls.__name__}.{name}: declare it with weights_field, content_field or setting_field"
                )


def role_of(field: FieldInfo) -> Role | None:
    extra = field.json_schema_extra
    role = extra.get("role") if isinstance(extra, dict) else None
    return next((known for known in get_args(Role) if known == role), None)


def is_later(field: FieldInfo) -> bool:
    """Whether the field is left out of recipes at its default, as they were written before it joined."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("later") is True
