"""Screens of the console: five views, and what is pushed above them."""
