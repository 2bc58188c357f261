"""Settings of what lasts: where conversations are kept, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from hearsight.config.fields import Names, Section, UserPath

MIB = 1024 * 1024


class ConversationsSettings(Section):
    """Conversations, which outlast a lost connection and a restart."""

    store: Literal["sqlite", "postgres", "none"] = Field(
        "sqlite",
        description="Where conversations are kept: in a file, in a database that several services share, or "
        "nowhere, so that they end with their session.",
    )
    path: UserPath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("hearsight")) / "conversations.sqlite",
        description="The file, where `store` is `sqlite`.",
    )
    postgres_url: SecretStr | None = Field(
        None,
        description="The database, where `store` is `postgres`, such as `postgresql://user@host/hearsight`.",
    )
    keep_days: float = Field(
        30,
        ge=0,
        le=36_500,
        description="Days after its last word for which a conversation is kept; 0: until it is deleted.",
    )

    media: Names[Literal["pictures", "audio"]] = Field(
        ("pictures",),
        description="Media that are kept with conversations, which can refer to them after a restart: "
        "pictures that were shown, and what the user said as audio. They stand in a folder beside the file, "
        "or in the database.",
    )
    max_media_bytes: int = Field(
        4096 * MIB,
        ge=MIB,
        description="Size of all media together, in bytes; about every hour, the oldest make room. Their "
        "captions and transcripts stay.",
    )

    @model_validator(mode="after")
    def _a_database_has_an_address(self) -> ConversationsSettings:
        if self.store == "postgres" and self.postgres_url is None:
            raise PydanticCustomError(
                "contradiction",
                "conversations.store = postgres needs conversations.postgres_url "
                "(HEARSIGHT_CONVERSATIONS__POSTGRES_URL)",
                {"keys": ["conversations.store", "conversations.postgres_url"]},
            )
        return self
