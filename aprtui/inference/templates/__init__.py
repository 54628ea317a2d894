"""Chat templates as rendered: what a conversation becomes as text, in a sandbox limited in time and size."""

from aprtui.inference.templates.conversations import CONVERSATIONS, Conversation
from aprtui.inference.templates.rendering import Rendering, render

__all__ = ["CONVERSATIONS", "Conversation", "Rendering", "render"]
