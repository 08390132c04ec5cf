"""Prompts that begin alike are read from where they differ, and give the same, in every family."""

import pytest
import torch
from torch import Tensor

from contracts.chat import ChatMessage, TextPart
from llava_custom.symbols import symbols_of
from runners.hub.model import HubModel
from runners.prefix_cache import PrefixCache
from tests.runners.hub.families import Family
from tests.runners.hub.greedy import embedded, logits_of
from tests.runners.hub.media import clip, picture, user

MB = 1 << 20
WHOLE = 1 << 20  # tokens


def logits_with(
    model: HubModel, messages: tuple[ChatMessage, ...], cache: PrefixCache
) -> tuple[Tensor, int]:
    """Logits after a conversation, and how many of its tokens were not read."""
    prompt = model.plan(messages)
    kv_cache = model.new_kv_cache()
    start = cache.fill(prompt, kv_cache, prompt.tokens.total - 1)
    num_known = prompt.num_visuals_within(start)
    blocks = [model.blank_block(visual) for visual in prompt.visuals[:num_known]]
    blocks += [model.encode(visual) for visual in prompt.visuals[num_known:]]
    whole = model.embed(prompt, blocks)
    logits = model.prefill(whole.stretch(start, len(whole)), kv_cache)
    cache.keep(prompt, kv_cache)
    return logits, start


def turns(*texts: str) -> tuple[ChatMessage, ...]:
    """A conversation about one clip."""
    first, *others = texts
    messages = [user(clip(3, 64, 48), first)]
    for index, text in enumerate(others):
        part = (TextPart(text),)
        messages.append(ChatMessage("user" if index % 2 else "assistant", part))
    return tuple(messages)


def test_a_conversation_goes_on_where_it_was(family: Family, model: HubModel) -> None:
    has_windows = family.name == "gemma3"  # and these are shorter than the prompts
    cache = PrefixCache(64 * MB)
    conversations = [
        turns("Is there a red ball?"),
        turns("Is there a red ball?", "It is red.", "Does it roll over the line?"),
        turns("Does the ball roll?"),
        turns("Is there a red ball?"),
    ]
    for index, messages in enumerate(conversations):
        expected = logits_of(model, embedded(model, *messages), WHOLE)[0]
        logits, num_known = logits_with(model, messages, cache)
        torch.testing.assert_close(logits.softmax(-1), expected.softmax(-1), atol=1e-5, rtol=0)
        num_visual = model.plan(messages).tokens.video
        assert (num_known > num_visual) == (index > 0 and not has_windows)
    assert cache.stats.num_hits == (0 if has_windows else 3)


def test_another_clip_shares_nothing_of_the_first(model: HubModel) -> None:
    cache = PrefixCache(64 * MB)
    first, second = (user(clip(3, width, 36), "Is there a red ball?") for width in (52, 56))
    logits_with(model, (first,), cache)
    logits, num_known = logits_with(model, (second,), cache)
    expected = logits_of(model, embedded(model, second), WHOLE)[0]
    torch.testing.assert_close(logits.softmax(-1), expected.softmax(-1), atol=1e-5, rtol=0)
    prompt = model.plan((second,))
    assert prompt.num_visuals_within(num_known) == 0


def test_within_its_window_a_sliding_layer_shares_too(model: HubModel, family: Family) -> None:
    if family.name != "gemma3":
        pytest.skip("has no windows")
    window = model.network.config.get_text_config().sliding_window
    cache, message = PrefixCache(64 * MB), user("a b c d")
    assert model.plan((message,)).tokens.total < window
    logits_with(model, (message,), cache)
    logits, num_known = logits_with(model, (message,), cache)
    assert num_known > 0
    expected = logits_of(model, embedded(model, message), WHOLE)[0]
    torch.testing.assert_close(logits.softmax(-1), expected.softmax(-1), atol=1e-5, rtol=0)


def test_visuals_are_told_apart_by_what_they_show_and_how(model: HubModel) -> None:
    rows = [
        symbols_of(model.plan((user(part, "What?"),)))
        for part in (picture(60, 40), picture(60, 40), picture(60, 40, seed=1), clip(2, 60, 40))
    ]
    same, again, other, as_clip = (set(row.tolist()) for row in rows)
    assert same == again
    ids = {symbol for symbol in same if symbol < model.vocab_size}
    assert not (same & other) - ids
    assert not (same & as_clip) - ids or not model.knows_video
