"""The commands of `cosnb` with their arguments, a module a group."""
