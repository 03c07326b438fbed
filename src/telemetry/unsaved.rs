//! A refresh token that is in memory only, counted for as long as that is so.

use crate::telemetry::Telemetry;

/// One more refresh token that a store or a hook has failed to take. It is counted until this is dropped:
/// whatever becomes of the token, and wherever it is let go, the count is right.
#[derive(Debug)]
pub(crate) struct UnsavedToken(Telemetry);

impl UnsavedToken {
    pub(crate) fn count(telemetry: &Telemetry) -> Self {
        telemetry.unsaved_changes_by(1.0);
        Self(telemetry.clone())
    }
}

impl Drop for UnsavedToken {
    fn drop(&mut self) {
        self.0.unsaved_changes_by(-1.0);
    }
}
