"""Models on this machine: which one a playbook means and why, and what else there is."""

from aprtui.models.download import download_command, download_model
from aprtui.models.listing import ListedModel, Listing, Place, list_models, model_places
from aprtui.models.resolve import ResolvedModel, Search, Tried, Wanted, resolve_model, search_model
from aprtui.models.sources import GivenSource, find_sources

__all__ = [
    "GivenSource",
    "ListedModel",
    "Listing",
    "Place",
    "ResolvedModel",
    "Search",
    "Tried",
    "Wanted",
    "download_command",
    "download_model",
    "find_sources",
    "list_models",
    "model_places",
    "resolve_model",
    "search_model",
]
