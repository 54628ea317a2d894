"""Models on this machine: which one a playbook means and why, and what else there is."""

from aprtui.models.download import download_command, download_model
from aprtui.models.listing import ListedModel, Listing, Place, list_models, model_places
from aprtui.models.resolve import ResolvedModel, Search, Tried, Wanted, resolve_model, search_model

__all__ = [
    "ListedModel",
    "Listing",
    "Place",
    "ResolvedModel",
    "Search",
    "Tried",
    "Wanted",
    "download_command",
    "download_model",
    "list_models",
    "model_places",
    "resolve_model",
    "search_model",
]
