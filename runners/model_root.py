"""What a model is called in public: its place on this machine is nobody's business."""


def model_root(model: str) -> str:
    """A hub id as it is; of a directory its last name."""
    is_id = model.count("/") <= 1 and not model.startswith((".", "/"))
    return model if is_id else model.rstrip("/").rsplit("/", 1)[-1]
