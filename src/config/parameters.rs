//! What a token is asked for with: scope, audience, resource and whatever else a server takes.

use crate::config::table::Table;
use crate::parameters::TokenParameters;

/// What the table says of them.
pub(super) fn read(table: &mut Table<'_>) -> TokenParameters {
    let mut parameters = TokenParameters::new();
    for scope in table.texts("scope") {
        parameters = parameters.scope(scope);
    }
    for audience in table.texts("audience") {
        parameters = parameters.audience(audience);
    }
    for resource in table.texts("resource") {
        parameters = parameters.resource(resource);
    }
    let extra = table.table(
        "extra",
        &[],
        "a table of texts, such as `{ acr_values = \"mfa\" }`",
    );
    if let Some(mut extra) = extra {
        for name in extra.names() {
            if let Some(value) = extra.text(&name) {
                parameters = parameters.extra(name, value);
            }
        }
    }
    parameters
}
