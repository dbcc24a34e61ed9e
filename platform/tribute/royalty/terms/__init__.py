"""Files of rights, agreements and licences: read and checked row by row."""

from tribute.royalty.terms.agreements import read_agreements
from tribute.royalty.terms.licences import read_terms, terms_findings, terms_json
from tribute.royalty.terms.rights import Publisher, Right, RightsBook, rights_of_publishers
from tribute.royalty.terms.rights_file import read_rights

__all__ = [
    "Publisher",
    "Right",
    "RightsBook",
    "read_agreements",
    "read_rights",
    "read_terms",
    "rights_of_publishers",
    "terms_findings",
    "terms_json",
]
