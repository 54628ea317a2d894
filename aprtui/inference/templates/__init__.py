"""Chat templates as rendered: what a conversation becomes as text, in a sandbox limited in time and size."""

from aprtui.inference.templates.conversations import CONVERSATIONS, Conversation
from aprtui.inference.templates.rendering import Rendering, render
from aprtui.inference.templates.special import special_texts

__all__ = ["CONVERSATIONS", "Conversation", "Rendering", "render", "special_texts"]
