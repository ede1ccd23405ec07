"""What all sections of the settings have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the settings: immutable, closed to unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
