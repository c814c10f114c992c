"""The program inside a sandbox, standard library only: it runs cells and speaks the wire."""

__all__: list[str] = []
