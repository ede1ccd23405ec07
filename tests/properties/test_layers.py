"""A layered mapping is a dictionary that is copied at each change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.matching import layers
from consumer.matching.layers import Layers

CHANGES = st.lists(st.dictionaries(st.integers(0, 30), st.none() | st.integers()), max_size=8)


@given(base=st.dictionaries(st.integers(0, 20), st.integers()), steps=CHANGES)
@pytest.mark.parametrize(("small", "most"), [(0, 5), (10, 5), (1_000, 0)])
def test_layers_are_a_dictionary(
    small: int, most: int, base: dict[int, int], steps: list[dict[int, int | None]]
) -> None:
    """Any changes give the mapping of a dictionary, whether tables are copied or layered, and leave
    each earlier state as it was.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_SMALL", small)
        patch.setattr(layers, "_MAX_RECENT", most)
        wanted, found = dict(base), Layers(base)
        states = [(dict(wanted), found)]
        for changes in steps:
            for key, value in changes.items():
                wanted.pop(key, None)
                if value is not None:
                    wanted[key] = value
            found = found.changed(changes)
            states.append((dict(wanted), found))
    for model, state in states:
        assert dict(state) == model
        assert len(state) == len(model)
        for key in range(31):
            assert state.get(key) == model.get(key)
            assert (key in state) is (key in model)


def test_a_large_table_is_shared() -> None:
    """A change of a large table copies it only once in a thousand changes."""
    table = Layers({number: number for number in range(10_000)})
    changed = table
    for number in range(1_024):
        changed = changed.changed({number: -1})
        assert changed.base is table.base
    assert changed.changed({5_000: -1}).recent == {}
    assert table[0] == 0
    assert changed[0] == -1
