//! The first half of a sign-in: what a user's browser is sent to the authorization server with, and what it
//! comes back with.

mod pending;
mod request;
mod response;
mod unguessable;

#[cfg(feature = "loopback")]
mod loopback;

#[cfg(feature = "loopback")]
pub use loopback::LoopbackReceiver;
pub use pending::PendingAuthorization;
pub use request::AuthorizationRequest;
