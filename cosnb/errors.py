"""The one exception type that a user of cosnb is meant to see."""


class CosnbError(Exception):
    """A mistake the user can mend; its message is one sentence: the thing, what was expected, what to do."""
