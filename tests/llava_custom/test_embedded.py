import torch

from llava_custom import Embedded


def test_a_prompt_is_split_in_order() -> None:
    embeds, positions = torch.randn(1, 10, 4), torch.arange(30).view(3, 10)
    stretches = list(Embedded(embeds, positions).split(4))
    assert [stretch.positions.shape for stretch in stretches] == [(3, 4), (3, 4), (3, 2)]
    assert torch.equal(torch.cat([one.inputs_embeds for one in stretches], dim=1), embeds)
    assert torch.equal(torch.cat([one.positions for one in stretches], dim=1), positions)


def test_the_answer_follows_the_last_position() -> None:
    embeds = torch.zeros(1, 4, 2)
    assert Embedded.in_order(embeds).next_position == 4
    in_a_picture = torch.tensor([[0, 1, 1, 3], [0, 1, 2, 3], [0, 9, 9, 3]])
    assert Embedded(embeds, in_a_picture).next_position == 4
