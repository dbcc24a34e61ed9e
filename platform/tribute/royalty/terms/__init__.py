"""Files of rights, agreements and licences: read and checked row by row.

Names are imported on first use, so a reader of one file loads no library of another.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tribute.royalty.terms.agreements import read_agreements
    from tribute.royalty.terms.licences import SourceTerms, read_terms, terms_findings, terms_json
    from tribute.royalty.terms.rights import Publisher, Right, RightsBook, rights_of_publishers
    from tribute.royalty.terms.rights_file import read_rights

__all__ = [
    "Publisher",
    "Right",
    "RightsBook",
    "SourceTerms",
    "read_agreements",
    "read_rights",
    "read_terms",
    "rights_of_publishers",
    "terms_findings",
    "terms_json",
]

_MODULE_OF = {
    "Publisher": "rights",
    "Right": "rights",
    "RightsBook": "rights",
    "SourceTerms": "licences",
    "read_agreements": "agreements",
    "read_rights": "rights_file",
    "read_terms": "licences",
    "rights_of_publishers": "rights",
    "terms_findings": "licences",
    "terms_json": "licences",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
