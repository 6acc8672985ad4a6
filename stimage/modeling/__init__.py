"""Former places of what model cards and documents named; each still works, and warns with the new one."""

__all__: list[str] = []
