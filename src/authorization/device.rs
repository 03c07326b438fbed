//! A sign-in on another device (RFC 8628): for programs on machines without a browser.

mod pending;
mod polling;
mod request;
mod wait;

pub use pending::PendingDeviceAuthorization;
pub use request::DeviceAuthorizationRequest;
