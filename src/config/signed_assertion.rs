//! The assertion that the program signs itself for the JWT bearer grant.

use crate::config::keys;
use crate::config::signing_key;
use crate::config::table::Table;
use crate::grant::SignedAssertion;

const WHAT: &str = "a table with at least a `signing_key` and an `audience`";

/// The assertion of the table's `signed_assertion`, if nothing is wrong with it.
pub(super) fn read(table: &mut Table<'_>) -> Option<SignedAssertion> {
    let mut place = table.table("signed_assertion", keys::SIGNED_ASSERTION, WHAT)?;
    if !place.has("signing_key") {
        place.missing(
            "signing_key",
            "give it as `{ file = \"/run/secrets/client.pem\" }`",
        );
    }
    if !place.has("audience") {
        place.missing(
            "audience",
            "say for whom the assertion is: mostly the token endpoint or the issuer",
        );
    }
    let key = signing_key::read(&mut place);
    let audience = place.settled_text("audience");
    let issuer = place.settled_text("issuer");
    let subject = place.settled_text("subject");
    let scope = place.text("scope");
    let lifetime = place.duration("lifetime");
    place.finish_all();
    let mut assertion = SignedAssertion::new(key?, audience?);
    if let Some(issuer) = issuer {
        assertion = assertion.issuer(issuer);
    }
    if let Some(subject) = subject {
        assertion = assertion.subject(subject);
    }
    if let Some(scope) = scope {
        assertion = assertion.scope(scope);
    }
    if let Some(lifetime) = lifetime {
        assertion = assertion.lifetime(lifetime);
    }
    Some(assertion)
}
