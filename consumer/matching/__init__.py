"""Which hooks want an event: one dictionary look-up, whatever the number of hooks."""
