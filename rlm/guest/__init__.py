"""The program inside a sandbox: it runs cells and speaks the wire; standard library, Python 3.9+."""
