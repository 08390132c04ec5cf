"""Which rules may be added or changed, and what a façade's list means for those there are."""

from dataclasses import replace

import pytest

from contracts.errors import RequestError, RuleExists, RuleLimitReached, RuleNotFound
from contracts.rule_checks import WindowLimits
from contracts.rules import Rule
from live.alerting.rule_book import RuleBook, RuleLimits
from tests.live.stage import NOON, PLAIN, at


def book(*rules: Rule, max_rules: int = 64) -> RuleBook:
    opened = RuleBook(RuleLimits(max_rules, WindowLimits(60, 64), jps_cooldown_s=60))
    opened.load(rules)
    return opened


def facade(opened: RuleBook, prompts: list[str], stream_id: str | None = None) -> RuleBook:
    """Replace the façade's rules, as a request does."""
    replacement = opened.replacement(prompts, stream_id, NOON)
    opened.remove(*replacement.removed)
    opened.put(*replacement.added)
    return opened


def shown(opened: RuleBook) -> list[str]:
    return [f"{rule.alert_number} {rule.stream_id} {rule.prompt}" for rule in opened.all()]


def test_rules_are_found_by_id_in_the_order_they_came() -> None:
    second = replace(PLAIN, id="r-2")
    opened = book(PLAIN, second)
    assert opened.all() == (PLAIN, second)
    assert opened.get("r-2") == second
    changed = replace(PLAIN, prompt="Is there fire?")
    opened.put(changed)
    assert opened.all() == (changed, second)
    opened.remove(changed)
    with pytest.raises(RuleNotFound):
        opened.get(PLAIN.id)


@pytest.mark.parametrize("prompt", ["", " ", "\n\t"])
def test_a_blank_rule_is_refused(prompt: str) -> None:
    with pytest.raises(RequestError) as caught:
        book().check_new(replace(PLAIN, prompt=prompt))
    assert caught.value.param == "prompt"
    with pytest.raises(RequestError):
        book(PLAIN).check(replace(PLAIN, prompt=prompt))


def test_an_id_is_taken_once() -> None:
    with pytest.raises(RuleExists):
        book(PLAIN).check_new(PLAIN)


def test_there_are_only_so_many() -> None:
    opened = book(PLAIN, max_rules=1)
    with pytest.raises(RuleLimitReached, match="VLM_MAX_RULES"):
        opened.check_new(replace(PLAIN, id="r-2"))
    opened.check(replace(PLAIN, prompt="Is there fire?"))


def test_a_facade_rule_is_an_ordinary_rule_with_its_defaults() -> None:
    [rule] = facade(book(), ["Is there fire?"]).all()
    assert (rule.source, rule.alert_number, rule.name) == ("jps", "r0", "Is there fire?")
    assert (rule.on_threshold, rule.off_threshold, rule.cooldown_s) == (0.5, 0.5, 60)
    assert (rule.confirm.n, rule.confirm.of, rule.created_at) == (1, 1, NOON)


def test_the_same_text_at_the_same_place_keeps_its_rule() -> None:
    opened = facade(book(), ["Is there fire?", "Is there smoke?", "Is it dark?"])
    before = {rule.alert_number: rule.id for rule in opened.all()}
    facade(opened, ["Is there fire?", "Is there water?", "Is it dark?", "Is it loud?"])
    after = {rule.alert_number: rule.id for rule in opened.all()}
    assert {number for number in before if before[number] == after[number]} == {"r0", "r2"}
    assert sorted(shown(opened)) == [
        "r0 None Is there fire?",
        "r1 None Is there water?",
        "r2 None Is it dark?",
        "r3 None Is it loud?",
    ]


def test_a_list_for_one_stream_leaves_the_others_alone() -> None:
    opened = facade(facade(book(), ["Is there fire?"], "door"), ["Is it dark?"], "yard")
    facade(opened, ["Is there water?"], "door")
    assert sorted(shown(opened)) == ["r0 door Is there water?", "r0 yard Is it dark?"]


def test_a_list_for_all_replaces_every_facade_rule_and_no_native_one() -> None:
    opened = facade(facade(book(PLAIN), ["Is there fire?"], "door"), ["Is it dark?"], "yard")
    facade(opened, ["Is there fire?"])
    assert shown(opened) == ["None None Is there a person?", "r0 None Is there fire?"]
    facade(opened, [])
    assert opened.all() == (PLAIN,)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_text_is_refused_at_its_place_and_nothing_changes(blank: str) -> None:
    opened = facade(book(), ["Is there fire?"])
    with pytest.raises(RequestError) as caught:
        facade(opened, ["Is it dark?", blank])
    assert caught.value.param == "alerts[1]"
    assert caught.value.message.startswith("alerts[1]: prompt: expected")
    assert shown(opened) == ["r0 None Is there fire?"]


def test_a_list_counts_against_the_limit_with_what_it_replaces_taken_off() -> None:
    opened = facade(book(PLAIN, max_rules=3), ["a?", "b?"])
    facade(opened, ["c?", "d?"])
    with pytest.raises(RuleLimitReached):
        facade(opened, ["a?", "b?", "c?"])
    assert len(opened.all()) == 3


def test_a_long_text_is_cut_in_the_name_only() -> None:
    [rule] = facade(book(), ["x" * 150]).all()
    assert (len(rule.name), len(rule.prompt)) == (100, 150)


def test_what_was_stored_is_taken_over_whatever_the_limits_are_now() -> None:
    opened = book(PLAIN, replace(PLAIN, id="r-2", created_at=at(1)), max_rules=1)
    assert len(opened.all()) == 2
