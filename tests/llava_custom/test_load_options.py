import logging

import pytest
import torch

from contracts.errors import WeightsError
from llava_custom import LoadOptions
from llava_custom.load_options import Attention, attention_kernel

HAS_FLASH = torch.cuda.is_available()


@pytest.mark.parametrize("attention", ["auto", "sdpa", "eager"])
def test_on_the_cpu_nothing_is_said(attention: Attention, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llava_custom")
    kernel = attention_kernel(LoadOptions(attention=attention, device="cpu", dtype=torch.float32))
    assert kernel == {"auto": "sdpa"}.get(attention, attention)
    assert not caplog.records


@pytest.mark.skipif(HAS_FLASH, reason="flash-attn may be installed beside a GPU")
@pytest.mark.parametrize(
    ("dtype", "reason"),
    [(torch.bfloat16, "not installed"), (torch.float32, "the dtype is float32")],
)
def test_without_flash_attn_a_gpu_takes_sdpa_and_one_line_says_why(
    dtype: torch.dtype, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llava_custom")
    assert attention_kernel(LoadOptions(attention="auto", device="cuda:1", dtype=dtype)) == "sdpa"
    (line,) = caplog.messages
    assert reason in line


@pytest.mark.parametrize(
    ("device", "dtype", "reason"),
    [
        ("cpu", torch.bfloat16, "the device is cpu"),
        ("cuda", torch.float32, "the dtype is float32"),
    ],
)
def test_what_was_asked_for_and_cannot_run_is_refused(
    device: str, dtype: torch.dtype, reason: str
) -> None:
    with pytest.raises(WeightsError, match=f"{reason}; use sdpa or auto"):
        attention_kernel(LoadOptions(attention="flash_attention_2", device=device, dtype=dtype))


def test_eager_attention_in_float16_is_refused() -> None:
    with pytest.raises(WeightsError, match="overflows"):
        attention_kernel(LoadOptions(attention="eager", device="cuda", dtype=torch.float16))
    assert (
        attention_kernel(LoadOptions(attention="sdpa", device="cuda", dtype=torch.float16))
        == "sdpa"
    )
    assert (
        attention_kernel(LoadOptions(attention="eager", device="cuda", dtype=torch.bfloat16))
        == "eager"
    )
