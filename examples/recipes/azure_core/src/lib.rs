//! `azure_core`, and the client of each service of Azure above it, with tokens of `reqwest-bearer`:
//! [`SourceCredential`] is what such a client asks for, and [`TokenPolicy`] what makes it answer a 401.

mod credential;
mod policy;

pub use credential::SourceCredential;
pub use policy::TokenPolicy;
