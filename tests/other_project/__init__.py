"""A project of somebody else, in which a test installs the wheel."""
