"""Live definitions: their topic read and written, their secrets, and the replicas' status."""
