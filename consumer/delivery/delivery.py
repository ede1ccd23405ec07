"""One (event, hook) pair on its way."""


class Delivery[Origin]:
    """Mutable and slotted: built once per matched pair on the hot path.

    `Origin` is the stream's handle on the record; the delivery room carries it and never looks in.
    """
