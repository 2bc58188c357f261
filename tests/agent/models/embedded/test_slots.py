from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hearsight.agent.models.embedded.slots import (
    WORTH_RESTORING_TOKENS,
    WORTH_SAVING_TOKENS,
    Placement,
    SlotTable,
    Tokens,
    common_prefix,
)

HEAD = list(range(1000))
"""Instructions and tools, which sessions have in common."""


def table(slots: int = 1, saved_tokens: int = 100_000) -> SlotTable:
    return SlotTable(slots, saved_tokens)


def run(slots: SlotTable, session_id: str, tokens: Tokens) -> Placement:
    """Place, obey and release, as the language model does; saves nothing afterwards."""
    placement = slots.place(session_id, tokens)
    assert placement is not None
    if placement.save:
        slots.saved(placement.save, slots.held(placement.slot))
    if placement.restore:
        slots.restored(placement.slot, placement.restore)
    slots.release(placement.slot, tokens)
    return placement


@given(st.lists(st.integers(0, 2), max_size=40), st.lists(st.integers(0, 2), max_size=40))
def test_the_common_prefix_is_what_both_begin_with(one: list[int], other: list[int]) -> None:
    length = common_prefix(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == min(len(one), len(other))


def test_a_session_stays_in_its_slot() -> None:
    slots = table(slots=3)
    first = [run(slots, name, [*HEAD, ord(name)]).slot for name in "abc"]
    assert len(set(first)) == 3
    assert [run(slots, name, [*HEAD, ord(name), 1]).slot for name in "cab"] == [first[2], first[0], first[1]]


def test_the_session_that_was_idle_for_longest_gives_way() -> None:
    slots = table(slots=2)
    slot_of = {name: run(slots, name, [*HEAD, ord(name)]).slot for name in "ab"}
    run(slots, "a", [*HEAD, ord("a"), 1])
    assert run(slots, "c", [*HEAD, ord("c")]).slot == slot_of["b"]


def test_no_slot_is_given_twice() -> None:
    slots = table(slots=2)
    first, second = slots.place("a", HEAD), slots.place("a", HEAD)
    assert first is not None and second is not None
    assert first.slot != second.slot, "a session may ask twice at the same time"
    assert slots.place("b", HEAD) is None
    slots.release(first.slot, HEAD)
    assert slots.place("b", HEAD) is not None


def test_a_cache_that_took_long_is_saved_before_it_is_overwritten_and_comes_back() -> None:
    slots = table()
    run(slots, "a", HEAD)
    other = [-token - 1 for token in HEAD]
    leaving = run(slots, "b", other)
    assert leaving.save is not None and leaving.restore is None
    back = run(slots, "a", [*HEAD, 7])
    assert back.restore == leaving.save


def test_what_is_extended_is_neither_saved_nor_restored() -> None:
    slots = table()
    run(slots, "a", HEAD)
    assert run(slots, "a", [*HEAD, *HEAD]) == Placement(0, None, None)


def test_a_short_tail_is_not_worth_a_file() -> None:
    slots = table()
    run(slots, "a", HEAD)
    run(slots, "a", HEAD[: -WORTH_SAVING_TOKENS + 1])
    assert slots.place("a", [5]) is not None
    assert run(table(), "b", list(range(WORTH_SAVING_TOKENS - 1))).save is None


def test_a_new_session_starts_from_the_head_that_another_one_saved() -> None:
    slots = table(slots=2)
    run(slots, "a", HEAD)
    file = slots.worth_saving(HEAD)
    assert file is not None
    slots.saved(file, HEAD)
    assert slots.worth_saving([*HEAD, 1, 2, 3]) is None, "most of it is saved already"
    assert run(slots, "b", [*HEAD, -1]).restore == file


def test_little_in_common_is_not_worth_reading_a_file() -> None:
    slots = table(slots=2)
    slots.saved("head", HEAD)
    common = HEAD[: WORTH_RESTORING_TOKENS - 1]
    assert run(slots, "a", [*common, -1, -2]).restore is None
    assert run(slots, "b", [*HEAD[:WORTH_RESTORING_TOKENS], -1]).restore == "head"


def test_files_that_were_used_longest_ago_give_way() -> None:
    slots = table(saved_tokens=2500)
    slots.saved("old", HEAD)
    slots.saved("new", [-1, *HEAD])
    run(slots, "a", [*HEAD, 1])  # uses the old one
    slots.saved("newest", [-2, *HEAD])
    assert slots.dropped_files() == ["new"]
    assert slots.dropped_files() == []


def test_a_file_that_could_not_be_read_is_not_tried_again() -> None:
    slots = table()
    slots.saved("broken", HEAD)
    slots.discard("broken")
    slots.discard("never there")
    assert slots.dropped_files() == ["broken"]
    assert run(slots, "a", HEAD).restore is None


def test_the_slot_of_a_session_that_ended_is_taken_first() -> None:
    slots = table(slots=3)
    slot_of = {name: run(slots, name, [*HEAD, ord(name)]).slot for name in "abc"}
    slots.forget("c")
    slots.forget("unknown")
    assert run(slots, "d", HEAD).slot == slot_of["c"]


class AnyUse(RuleBasedStateMachine):
    """Sessions come, answer, break off and go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SlotTable(slots=2, saved_tokens=600)
        self.files: dict[str, Tokens] = {}
        self.busy: dict[int, list[int]] = {}

    @rule(session=st.sampled_from("abcd"), head=st.integers(0, 1), length=st.integers(0, 400))
    def begin(self, session: str, head: int, length: int) -> None:
        tokens = [head] * (length // 2) + [ord(session)] * (length // 2)
        placement = self.table.place(session, tokens)
        assert (placement is None) == (len(self.busy) == 2)
        if placement is None:
            return
        assert placement.slot not in self.busy
        if placement.save:
            assert placement.save not in self.files, "a name is used once"
            self._saved(placement.save, self.table.held(placement.slot))
        if placement.restore and placement.restore in self.files:
            self.table.restored(placement.slot, placement.restore)
        self.busy[placement.slot] = tokens

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), finished=st.booleans())
    def end(self, data: st.DataObject, finished: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.busy)))
        tokens = self.busy.pop(slot)
        if finished and (file := self.table.worth_saving(tokens)):
            self._saved(file, tokens)
        self.table.release(slot, tokens if finished else tokens[: len(tokens) // 3])

    @rule(session=st.sampled_from("abcd"))
    def leave(self, session: str) -> None:
        self.table.forget(session)

    @invariant()
    def files_stay_within_the_limit(self) -> None:
        assert sum(map(len, self.files.values())) <= 600

    def _saved(self, file: str, tokens: Tokens) -> None:
        self.files[file] = tokens
        self.table.saved(file, tokens)
        for dropped in self.table.dropped_files():
            del self.files[dropped]


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
