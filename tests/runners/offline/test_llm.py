"""``LLM`` with the demo model: files and pixels in, answers out."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contracts.errors import ParseError, RequestError, WeightsError
from contracts.generation import FinishReason
from contracts.settings import SettingsError
from demo.files import read_frames
from demo.serving import ROOT
from runners import (
    LLM,
    ChoiceForm,
    Frames,
    FrameSampling,
    JsonForm,
    Message,
    Prompt,
    PromptError,
    SamplingParams,
    VideoFile,
)
from tests.media.conftest import children_of
from tests.runners.offline.processes import POLL_S, endless_process

QUESTION = "Is there a person?"
SHORT = SamplingParams(max_tokens=8)


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(max_frames=8) as one:
        yield one


def own_threads() -> set[threading.Thread]:
    """All but the one that every bar shares and nobody ends."""
    return {thread for thread in threading.enumerate() if thread.name != "tqdm_monitor"}


def test_answers_come_in_the_order_of_the_prompts(llm: LLM, files: Path) -> None:
    frames = list(read_frames(files / "person.mp4", [0, 10, 20, 30]))
    outputs = llm.generate(
        [
            Message(QUESTION, clips=[files / "person.mp4"]),
            "Hello!",
            Message(QUESTION, images=[str(files / "empty.png")]),
            Message(QUESTION, clips=[Frames(frames, fps=1)]),
            Message(QUESTION, clips=[np.stack(frames)]),
            Message(QUESTION, clips=[VideoFile(files / "person.mp4", FrameSampling(num_frames=3))]),
            Message(QUESTION, images=[files / "person.png"]),
        ],
        progress=False,
    )
    assert [re.split(r"\W", output.text)[0] for output in outputs] == [
        "Yes", "Hello", "No", "Yes", "Yes", "Yes", "Yes",
    ]  # fmt: skip
    assert [output.usage.prompt.video // 42 for output in outputs] == [8, 0, 0, 4, 4, 3, 0]
    for output in outputs:
        assert output.finish_reason is FinishReason.STOP
        assert output.usage.completion > 0
        assert output.timings.generate_s > 0


def test_a_picture_in_memory_is_seen_as_in_its_file(llm: LLM, files: Path) -> None:
    picture = Image.open(files / "person.png")
    upside_down = picture.copy().transpose(Image.Transpose.ROTATE_180)
    upside_down.getexif()[0x0112] = 3  # turn by 180 degrees to see it upright
    outputs = llm.generate(
        [
            Message(QUESTION, images=[image])
            for image in (
                files / "person.png",
                picture,
                np.asarray(picture),
                picture.convert("RGBA"),
                upside_down,
            )
        ],
        replace(SHORT, logprobs=True),
        progress=False,
    )
    first, *others = outputs
    assert first.outputs[0].logprobs
    assert all(other.outputs == first.outputs for other in others)


def test_answers_may_have_a_form(llm: LLM) -> None:
    one = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}
    schema = JsonForm(json.dumps(one | {"required": ["n"]}))
    wishes = [replace(SHORT, form=schema), replace(SHORT, form=ChoiceForm(("cat", "dog")))]
    first, second = llm.generate(["Hello!", "Hello!"], wishes, progress=False)
    assert first.text.startswith("{")
    assert second.text in ("cat", "dog")


@pytest.mark.parametrize("schema", ["{", "[]", '{"not": {}}'])
def test_a_form_that_cannot_be_is_refused(llm: LLM, schema: str) -> None:
    with pytest.raises(PromptError, match=r"^sampling"):
        llm.generate("Hello!", replace(SHORT, form=JsonForm(schema)), progress=False)


def test_each_prompt_may_have_its_own_sampling(llm: LLM) -> None:
    wishes = [SamplingParams(max_tokens=2), SamplingParams(num_choices=2, temperature=1, seed=3)]
    short, both = llm.generate(["Hello!", "Hello!"], wishes, progress=False)
    assert short.finish_reason is FinishReason.LENGTH
    assert short.usage.completion == 2
    assert len(both.outputs) == 2
    assert llm.generate(["Hello!"], wishes[1:], progress=False)[0].outputs == both.outputs


def test_conversations_and_dictionaries_are_prompts_too(llm: LLM, files: Path) -> None:
    spoken = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}]
    ours = [Message("Be brief.", role="system"), Message("Hello!")]
    picture = Image.open(files / "person.png")
    dictionary = {"prompt": f"<image>\n{QUESTION}", "multi_modal_data": {"image": picture}}
    outputs = llm.generate([spoken, ours, dictionary], SHORT, progress=False)
    assert outputs[0].outputs == outputs[1].outputs
    assert outputs[2].text.startswith("Yes")
    assert llm.chat(spoken, SHORT, progress=False)[0].outputs == outputs[0].outputs
    assert len(llm.chat([spoken, spoken], SHORT, progress=False)) == 2
    assert llm.generate(dictionary, SHORT, progress=False)[0].text == outputs[2].text


def test_the_failure_of_one_is_its_own(llm: LLM, files: Path) -> None:
    damaged = Message(QUESTION, images=[files / "damaged.png"])
    prompts: list[Prompt] = ["Hello!", damaged, "Hello!"]
    good, bad, as_good = llm.generate(prompts, progress=False)
    assert good.outputs == as_good.outputs
    assert good.error is None
    assert isinstance(bad.error, ParseError)
    assert bad.outputs == ()
    with pytest.raises(ParseError, match="damaged"):
        _ = bad.text


def test_what_only_the_model_can_refuse_is_a_failure_of_its_own(llm: LLM) -> None:
    beyond = replace(SHORT, stop_token_ids=(10**6,))
    bad, good = llm.generate(["Hello!", "Hello!"], [beyond, SHORT], progress=False)
    assert isinstance(bad.error, RequestError)
    assert good.error is None


def test_a_bad_prompt_is_named_before_anything_is_computed(
    llm: LLM, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts: list[Prompt] = [
        "Hello!",
        Message("?", images=[files / "person.png", files / "none.png"]),
    ]
    with pytest.raises(PromptError, match=r"prompts\[1\]\.images\[1\]: there is no file .*none"):
        llm.generate(prompts)
    assert capsys.readouterr().err == ""  # no bar was drawn


def test_there_is_a_bar_unless_it_is_switched_off(
    llm: LLM, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.generate(["Hello!"] * 2, SHORT, progress=False)
    assert capsys.readouterr().err == ""
    llm.generate(["Hello!"] * 2, SHORT)
    assert "2/2" in capsys.readouterr().err
    assert llm.generate([]) == []


async def test_it_answers_where_a_loop_is_running(llm: LLM) -> None:
    assert llm.generate("Hello!", progress=False)[0].text.startswith("Hello")


def test_closing_ends_its_threads_and_processes() -> None:
    before, children = own_threads(), children_of(os.getpid())
    with LLM(concurrency=1) as one:
        assert len(one.generate(["Hello!"] * 3, SHORT, progress=False)) == 3
    one.close()
    for thread in own_threads() - before:
        thread.join(10)  # that of a pool is told to end, and not waited for
    assert (own_threads(), children_of(os.getpid())) == (before, children)
    with pytest.raises(RuntimeError, match="closed"):
        one.generate("Hello!")


def test_what_cannot_be_loaded_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    before = own_threads()
    with pytest.raises(WeightsError):
        LLM(tmp_path)
    with pytest.raises(SettingsError, match="max_frame: no such setting, did you mean max_frames"):
        LLM(max_frame=4)
    with pytest.raises(ValueError, match="concurrency"):
        LLM(concurrency=0)
    assert own_threads() == before


def test_importing_it_loads_no_model_library() -> None:
    script = "import sys; from runners import LLM; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_ctrl_c_ends_it_at_once_and_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with endless_process(log) as process:
        while process.is_alive() and not re.search(r"\b[1-9]\d*/100000", told(log)):
            process.join(POLL_S)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        process.join(30)
        assert process.exitcode == 1
    assert told(log).rstrip().endswith("KeyboardInterrupt")
    assert "never awaited" not in told(log)
    assert "ignored" not in told(log)


def told(log: Path) -> str:
    return log.read_text() if log.exists() else ""
