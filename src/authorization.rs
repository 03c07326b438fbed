//! The first half of a sign-in: what a user's browser is sent to the authorization server with, and what it
//! comes back with; or what a user types on another device.

mod device;
mod kept_key;
mod pending;
mod request;
mod response;
mod unguessable;

#[cfg(feature = "loopback")]
mod loopback;

pub use device::{DeviceAuthorizationRequest, PendingDeviceAuthorization};
#[cfg(feature = "loopback")]
pub use loopback::LoopbackReceiver;
pub use pending::PendingAuthorization;
pub use request::AuthorizationRequest;
