"""A period that an earlier release closed, in its words and without `repetition`, still holds."""

from pathlib import Path

from tests.statements import statements
from tests.unit.royalty.proof.forger import facts_of, forged_bundle, plain
from tribute.royalty.division.policy import DEFAULT_POLICY
from tribute.royalty.document import Bundle
from tribute.royalty.proof.bundle import build_bundle
from tribute.royalty.proof.signing import new_key
from tribute.royalty.proof.verify import check_bundle, verify_bundle

EARLIER = Path(__file__).with_name("earlier_bundle.json")
"""Signed before statements said how models are trained without sources."""
PUBLIC = "fce2760e1b511cbac6eb0187fa147113c2ebd7c9b3740e3031b16325f410a916"


def test_a_bundle_of_an_earlier_release_holds() -> None:
    content = EARLIER.read_bytes()
    assert b"by the shrinkage stated" in content and b"repetition" not in content
    assert verify_bundle(content, PUBLIC) == []
    assert Bundle.model_validate_json(content).canonical() == content


def test_a_changed_word_of_an_earlier_text_is_found() -> None:
    content = EARLIER.read_bytes().replace(b"the shrinkage stated", b"the shrinkage stated or not")
    places = {each.place for each in verify_bundle(content, PUBLIC)}
    assert {"policy.text", "policy.sha256", "signature"} <= places


def test_statements_of_a_period_agree_on_how_the_model_was_trained() -> None:
    pem, _ = new_key()
    honest = statements(policy=DEFAULT_POLICY)
    assert check_bundle(build_bundle(facts_of(honest[0]), honest, pem)) == []
    forged = plain(honest)
    forged[1]["repetition"] = "continued"
    bundle = forged_bundle(facts_of(honest[0]).plain(), forged, pem)
    [problem] = check_bundle(Bundle.model_validate(bundle))
    assert problem.place == "statements[1].repetition"
