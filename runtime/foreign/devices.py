"""What programs ask of a device."""

from __future__ import annotations

import torch


def device_type(device: torch.device) -> str:
    """`device.type`."""
    return device.type
