"""What exported programs answer with."""

import torch


def as_tensors(answer):
    """An answer with tensors in place of its numbers."""
    if isinstance(answer, tuple | list):
        return type(answer)(map(as_tensors, answer))
    if isinstance(answer, dict):
        return {key: as_tensors(value) for key, value in answer.items()}
    dtypes = {float: torch.float64, int: torch.int64, bool: torch.bool}
    return torch.tensor(answer, dtype=dtypes[type(answer)]) if type(answer) in dtypes else answer
