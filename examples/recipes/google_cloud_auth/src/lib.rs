//! `google-cloud-auth`, and the client of each service of Google Cloud above it, with tokens of
//! `reqwest-bearer`: [`TokenCredentials`] is what such a client asks for, and [`RefusalPolicy`] what makes it
//! answer a 401.

mod credentials;
mod policy;

pub use credentials::TokenCredentials;
pub use policy::RefusalPolicy;
