"""The form that an answer must have, whatever the model would rather say."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class JsonForm:
    """JSON that a schema allows.

    Attributes:
        schema: JSON Schema as text; properties come in its order.
        name: What the client calls it.
        path: The request's field that asks for it, for messages.
    """

    schema: str
    name: str = "answer"
    path: str = field(default="response_format", compare=False)


@dataclass(frozen=True, slots=True)
class ChoiceForm:
    """One of these texts, and nothing else; ``path`` as of ``JsonForm``."""

    choices: tuple[str, ...]
    path: str = field(default="structured_outputs.choice", compare=False)


AnswerForm = JsonForm | ChoiceForm
ANY_OBJECT = '{"type":"object"}'  # the schema of ``json_object``
