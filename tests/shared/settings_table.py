"""Render the README's table of settings from the settings themselves."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from shared.settings import Settings


def render_rows() -> list[str]:
    """Return one Markdown row for each setting: name, default, meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        if field.default is PydanticUndefined:
            default = "needed"
        elif field.default is None:
            default = "none"
        else:
            value = str(field.default).lower() if isinstance(field.default, bool) else field.default
            default = f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
        rows.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return rows


if __name__ == "__main__":
    print("\n".join(render_rows()))
