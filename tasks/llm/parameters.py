"""Which language model is asked, how, and how patiently."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from tasks.common.parameters import Section

_ADDRESS = r"^https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"


class LanguageModel(Section):
    """Any endpoint that speaks OpenAI's protocol, or a small local model."""

    backend: Literal["local", "openai"] = Field(
        description="local runs a small model in this process; openai asks any endpoint with OpenAI's protocol"
    )
    model: str = Field(min_length=1, max_length=200, description="the model's name at the endpoint, or of the local model")
    base_url: str | None = Field(
        repr=False,
        pattern=_ADDRESS,
        max_length=500,
        description="address of the endpoint such as https://api.deepseek.com, no user and no key in it; null if local",
    )
    key_variable: str | None = Field(
        repr=False,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        max_length=100,
        description="name of the environment variable that holds the key, never the key itself; null if none is needed",
    )
    output: Literal["json_schema", "json_object", "text"] = Field(
        description="what the endpoint can enforce: a JSON schema, any JSON, or nothing"
    )
    temperature: float = Field(ge=0, le=2, description="0 gives the likeliest reply")
    max_tokens: int = Field(ge=1, le=1_000_000, description="longest reply")
    in_flight: int = Field(ge=1, le=256, description="calls at once")
    timeout_s: float = Field(gt=0, le=86_400, description="longest time for one try, up to the reply's last byte")
    retries: int = Field(ge=0, le=20, description="tries after the first when the endpoint fails")
    most_wait_s: float = Field(gt=0, le=86_400, description="longest wait between two tries")
    most_reply_bytes: int = Field(ge=1_000, le=100_000_000, description="longest body that is read")

    @field_validator("base_url")
    @classmethod
    def _is_there_if_needed(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None and info.data.get("backend") == "openai":
            raise ValueError("backend openai needs the address of its endpoint")
        return address

    def reply_settings(self) -> dict[str, Any]:
        """The settings that change a reply, and so belong to the key of its record."""
        return {"temperature": self.temperature, "max_tokens": self.max_tokens, "output": self.output}
