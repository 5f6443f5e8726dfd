"""Knows the subcommands of `manage.py vonage`, which set an account up."""
