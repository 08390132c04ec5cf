"""The README's tables of settings and errors, made from the classes they describe.

``python -m contracts.documentation README.md`` rewrites what stands between the markers.
"""

import re
import sys
from pathlib import Path

from pydantic import SecretStr

from contracts.errors import MediaError, ServiceError
from contracts.settings import DEMO_MODEL, Settings, variable_name


def settings_table() -> str:
    """Every variable, its default and its meaning."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{variable_name(name)}` | {_shown(field.default)} | {field.description} |")
    return "\n".join(rows)


def errors_table() -> str:
    """Every code, its status and when it comes."""
    rows = [(cls.status, _code(cls), _sentence(cls)) for cls in _raised(ServiceError)]
    head = "| status | code | when |\n| --- | --- | --- |\n"
    return head + "\n".join(
        f"| {status} | `{code}` | {when} |" for status, code, when in sorted(rows)
    )


def rewritten(readme: str) -> str:
    """The README with its generated parts made anew."""
    for name, table in (("settings", settings_table()), ("errors", errors_table())):
        readme = with_block(readme, name, table)
    return readme


def with_block(text: str, name: str, content: str) -> str:
    """A document with what stands between the markers of a name made anew."""
    begin, end = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def _shown(default: object) -> str:
    if default == str(DEMO_MODEL):
        return "`demo/model`"
    if isinstance(default, SecretStr):
        default = str(default)
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, bool):
        default = str(default).lower()
    return f"`{default}`" if default != "" else "empty"


def _raised(cls: type[ServiceError]) -> list[type[ServiceError]]:
    """The classes below that name a code of their own."""
    below = cls.__subclasses__()
    own = [one for one in below if {"code", "code_of_kind"} & {*vars(one)}]
    return [one for one in own if one is not MediaError] + [
        deeper for one in below for deeper in _raised(one)
    ]


def _code(cls: type[ServiceError]) -> str:
    template = cls.code_of_kind if issubclass(cls, MediaError) else cls.code
    return template.replace("{kind}", "KIND")


def _sentence(cls: type[ServiceError]) -> str:
    return (cls.__doc__ or "").split("\n")[0].rstrip(".")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text()))
