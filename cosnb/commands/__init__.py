"""The commands of `cosnb`, a module a group: what each is called with, and what it does."""
