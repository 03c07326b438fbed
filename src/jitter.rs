//! Chance, so that many processes do not do the same thing in the same second; injected.

/// Where draws come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Jitter {
    /// Another number each time.
    Random,
    /// What a test wants every draw to be.
    #[cfg(any(test, feature = "test-util"))]
    Fixed(f64),
}

impl Jitter {
    /// A number from 0 (included) to 1 (excluded).
    pub(crate) fn draw(self) -> f64 {
        match self {
            Self::Random => fastrand::f64(),
            #[cfg(any(test, feature = "test-util"))]
            Self::Fixed(draw) => draw,
        }
    }
}
