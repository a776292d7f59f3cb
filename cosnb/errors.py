"""The one exception type that a user of cosnb is meant to see."""


class CosnbError(Exception):
    """An error that the user can correct; its message is one sentence: what is wrong, what was expected, what to do."""
